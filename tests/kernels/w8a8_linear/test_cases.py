from __future__ import annotations

import torch

from automl.kernels.w8a8_linear.cases import cases


def test_cases_hold_the_awkward_shapes_and_every_epilogue():
    found = [c.arguments for c in cases()]
    assert any(a["x"].shape[0] == 0 for a in found)
    assert any(a["x"].shape[1] == 1 for a in found)
    assert any(not a["x"].is_contiguous() and not a["w"].is_contiguous() for a in found)
    assert {a["activation"] for a in found} == {"none", "relu", "gelu", "silu"}
    assert {a["out_dtype"] for a in found} == {torch.float32, torch.float16, torch.bfloat16}
    assert any(int(a["x"].long().pow(2).sum()) > 2**30 for a in found)


def test_bounds_are_tight():
    # A wrong code changes the sum by at least one unit, which no bound may hide.
    for case in cases():
        a = case.arguments
        if (
            a["x"].numel()
            and a["activation"] == "none"
            and a["out_dtype"] == torch.float32
            and a["x"].shape[1] < 1000
        ):
            unit = float(a["x_scale"].min()) * float(a["w_scale"].min())
            assert case.bound.absolute < unit or unit < 1e-4
