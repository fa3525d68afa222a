from __future__ import annotations

import torch
import triton
import triton.language as tl

from automl.kernels.epilogue import reference
from automl.kernels.epilogue.triton_impl import activate
from automl.kernels.epilogue.triton_impl import tile


@triton.jit
def _tiles(out_ptr, rows, columns, M: tl.constexpr, N: tl.constexpr, GROUP: tl.constexpr):
    tile_m, tile_n = tile(rows, columns, M, N, GROUP)
    tl.store(out_ptr + tl.program_id(0) * 2, tile_m)
    tl.store(out_ptr + tl.program_id(0) * 2 + 1, tile_n)


@triton.jit
def _activated(x_ptr, y_ptr, N: tl.constexpr, ACTIVATION: tl.constexpr):
    at = tl.arange(0, N)
    tl.store(y_ptr + at, activate(tl.load(x_ptr + at), ACTIVATION))


def test_programs_visit_every_tile_once():
    for rows, columns, group in ((1, 1, 8), (37, 50, 2), (40, 8, 3), (16, 100, 8)):
        count = triton.cdiv(rows, 4) * triton.cdiv(columns, 8)
        out = torch.full((count, 2), -1, dtype=torch.int32)
        _tiles[(count,)](out, rows, columns, 4, 8, group)
        seen = {tuple(pair) for pair in out.tolist()}
        assert seen == {(m, n) for m in range(triton.cdiv(rows, 4)) for n in range(triton.cdiv(columns, 8))}


def test_activations_equal_the_reference_and_keep_nan():
    x = torch.linspace(-12, 12, 64)
    x[5] = torch.nan
    for name in ("none", "relu", "gelu", "silu"):
        y = torch.empty(64)
        _activated[(1,)](x, y, 64, name)
        assert torch.allclose(y.double(), reference.activate(x.double(), name), atol=3e-6, equal_nan=True)
