from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.core.errors import KernelError
from automl.kernels.bitplane_linear.cases import arguments_of
from automl.kernels.bitplane_linear.cases import cases
from automl.kernels.bitplane_linear.cases import edges
from automl.kernels.bitplane_linear.cpu_impl import MOST_COUNTS
from automl.kernels.bitplane_linear.cpu_impl import NATIVE_COUNTS
from automl.kernels.bitplane_linear.cpu_impl import counted
from automl.kernels.bitplane_linear.cpu_impl import multiplied
from automl.kernels.bitplane_linear.cpu_impl import pack
from automl.kernels.bitplane_linear.planes_math import KINDS
from automl.kernels.bitplane_linear.planes_math import pack_planes
from automl.kernels.bitplane_linear.reference import run as reference
from automl.kernels.native.library import using
from tests.kernels.native.support import needs_native
from tests.kernels.support import assert_cases
from tests.kernels.support import assert_served
from tests.kernels.support import few_examples
from tests.kernels.support import seeds


@pytest.mark.usefixtures("every_way")
def test_every_case_equals_the_reference():
    assert_cases("bitplane_linear", "cpu", least=100)


@pytest.mark.usefixtures("every_way")
@pytest.mark.parametrize("way", [counted, multiplied])
def test_both_ways_give_the_sums_of_every_exact_case(way):
    for case in [*cases(), *edges()]:
        a = case.arguments
        if a["out_dtype"] == torch.int32 and a["x"].shape[0]:
            weight = pack(a["planes"].contiguous(), a["x"].shape[1], a["w_kind"], zero=a["w_zero"])
            total = way(weight, a["x"], a["x_zero"], a["x_bits"], a["x_kind"])
            assert torch.equal(total, reference(**a)), case.name


@pytest.mark.usefixtures("every_way")
@few_examples
@given(
    shape=st.tuples(st.integers(0, 6), st.integers(1, 300), st.integers(1, 1100)),
    bits=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    kinds=st.tuples(st.sampled_from(KINDS), st.sampled_from(KINDS)),
    seed=seeds,
)
def test_any_call_equals_the_reference(shape, bits, kinds, seed):
    bits = tuple(1 if kind == "binary" else b for b, kind in zip(bits, kinds, strict=True))
    arguments = arguments_of(
        shape, bits, kinds, seed=seed, x_zero=kinds[0] != "binary", w_zero=kinds[1] != "binary"
    )
    assert_served("bitplane_linear", "cpu", arguments)
    assert_served("bitplane_linear", "cpu", {**arguments, "x_zero": None, "w_zero": None})


def test_the_way_changes_where_the_product_gets_faster(monkeypatch):
    ways = []
    for name, way in (("counted", counted), ("multiplied", multiplied)):
        monkeypatch.setattr(
            f"automl.kernels.bitplane_linear.cpu_impl.{name}",
            lambda *args, name=name, way=way: ways.append(name) or way(*args),
        )
    for rows in (1, MOST_COUNTS, MOST_COUNTS + 1):
        a = arguments_of((rows, 64, 8), (1, 1), ("unsigned", "signed"), seed=0)
        with using("off"):
            pack(a["planes"], 64, "signed")(a["x"], None, None, 1, "unsigned")
    assert ways == ["counted", "counted", "multiplied"]


@needs_native
def test_compiled_counts_serve_more_rows_and_planes(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "automl.kernels.bitplane_linear.cpu_impl.multiplied",
        lambda *args: calls.append("multiplied") or multiplied(*args),
    )
    for rows, bits in ((1, 6), (NATIVE_COUNTS, 1), (1, 7), (NATIVE_COUNTS + 1, 1)):
        a = arguments_of((rows, 64, 8), (bits, bits), ("unsigned", "signed"), seed=0)
        with using("vector"):
            weight = pack(a["planes"], 64, "signed", out_dtype=torch.int32)
            assert weight(a["x"], None, None, bits, "unsigned").equal(reference(**a))
    assert calls == ["multiplied"] * 2


def test_a_weight_with_a_nan_scale_is_refused():
    planes = pack_planes(torch.zeros(2, 4), 2, "signed")
    with pytest.raises(KernelError, match="w_scale with the element nan; allowed: positive finite steps"):
        pack(planes, 4, "signed", scale=torch.tensor([1.0, torch.nan]))
