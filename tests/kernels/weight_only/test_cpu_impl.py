from __future__ import annotations

import dataclasses

import pytest
import torch

from automl.core.errors import KernelError
from automl.kernels.native.library import using
from automl.kernels.weight_only.cases import make_arguments
from automl.kernels.weight_only.cpu_impl import NATIVE_ROWS
from automl.kernels.weight_only.cpu_impl import PACKED_ROWS
from automl.kernels.weight_only.cpu_impl import pack
from automl.kernels.weight_only.cpu_impl import packed_obstacle
from automl.kernels.weight_only.reference import dequantize
from automl.kernels.weight_only.weight import Weight
from tests.kernels.native.support import needs_native


def _weight(bits: int, kind: str, inner: int = 128, columns: int = 32, group: int = 64) -> Weight:
    a = make_arguments(bits, (1, inner, columns, group), kind, seed=1)
    return Weight(bits, a["codes"], a["scale"], a["zero"], a["table"], group, inner)


@pytest.mark.parametrize(
    ("weight", "rows", "words"),
    [
        (_weight(4, "symmetric"), PACKED_ROWS + 1, "slower than a bfloat16 one"),
        (_weight(4, "nf4"), 1, "levels from a table"),
        (_weight(4, "symmetric", columns=24), 1, "n=24, k=128: the packed product takes multiples"),
        (_weight(4, "symmetric", group=16), 1, "group=16"),
        (_weight(4, "symmetric", inner=96), 1, "group=64, k=96"),
        (_weight(8, "asymmetric", group=128), 1, "int8 codes with one scale a channel"),
        (_weight(8, "symmetric"), 1, "int8 codes with one scale a channel"),
    ],
)
def test_what_torch_does_not_pack_says_why_and_is_right_all_the_same(weight, rows, words):
    with using("off"):
        packed = pack(weight, rows=rows)
    assert words in packed.reason
    assert packed.packed is None
    x = torch.randn(rows, weight.inner, generator=torch.Generator().manual_seed(0)).bfloat16()
    wanted = x.double() @ dequantize(weight).t()
    assert torch.allclose(packed(x).double(), wanted, atol=0.02 * float(wanted.abs().max()), rtol=0)


@pytest.mark.parametrize(
    ("bits", "kind", "group"), [(4, "symmetric", 64), (4, "asymmetric", 32), (8, "symmetric", 128)]
)
@pytest.mark.parametrize("rows", [1, 3, 40])
def test_a_packed_weight_takes_any_number_of_rows_and_a_bias(bits, kind, group, rows):
    weight = _weight(bits, kind, group=group)
    bias = torch.arange(32.0)
    with using("off"):
        assert packed_obstacle(weight, 1) is None
        packed = pack(weight, bias, rows=1)
    assert packed.dense is None
    assert packed.native is None
    x = torch.randn(rows, 128, generator=torch.Generator().manual_seed(rows)).bfloat16()
    wanted = x.double() @ dequantize(weight).t() + bias
    size = x.double().abs() @ (dequantize(weight).abs().t() + 8 * weight.scale.double().mean())
    assert ((packed(x).double() - wanted).abs() <= size * 2.0**-7 + 0.25).all()


@needs_native
@pytest.mark.parametrize("way", ["vector", "plain"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_compiled_product_serves_few_rows_of_any_weight_and_gives_the_type_of_its_input(way, dtype):
    weight = _weight(4, "nf4", inner=100, columns=21, group=48)
    x = torch.randn(NATIVE_ROWS, 100, generator=torch.Generator().manual_seed(0)).to(dtype)
    with using(way):
        packed = pack(weight, torch.ones(21), rows=NATIVE_ROWS)
        y = packed(x)
        wide = pack(weight, rows=NATIVE_ROWS + 1)
    assert packed.native is not None
    assert (packed.packed, packed.dense, packed.reason) == (None, None, "")
    assert y.dtype == dtype
    wanted = x.double() @ dequantize(weight).t() + 1
    assert torch.allclose(y.double(), wanted, rtol=float(torch.finfo(dtype).eps), atol=1e-4)
    assert wide.native is None
    assert "9 rows: above 8" in wide.reason


def test_a_frozen_value_is_what_modules_keep():
    with pytest.raises(dataclasses.FrozenInstanceError):
        pack(_weight(4, "symmetric"), rows=1).group = 3


@pytest.mark.parametrize("bits", [4, 8])
def test_a_scale_that_is_no_number_is_named(bits):
    weight = _weight(bits, "symmetric")
    bad = dataclasses.replace(weight, scale=torch.full_like(weight.scale, torch.inf))
    with pytest.raises(KernelError, match=f"w{bits}a16_linear' got scale with the element inf"):
        pack(bad, rows=1)
