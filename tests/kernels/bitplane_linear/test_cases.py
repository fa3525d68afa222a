from __future__ import annotations

from automl.kernels.bitplane_linear.cases import cases
from automl.kernels.bitplane_linear.cases import edges
from automl.kernels.bitplane_linear.reference import run


def test_cases_hold_every_pair_of_bits_and_the_awkward_calls():
    found = list(cases())
    calls = [c.arguments for c in found]
    assert len({c.name for c in found}) == len(found)
    pairs = {(a["x_bits"], a["planes"].shape[0]) for a in calls}
    assert {(p, q) for p in range(1, 9) for q in range(1, 9)} <= pairs
    assert {(a["x_kind"], a["w_kind"]) for a in calls} >= {("binary", "binary"), ("unsigned", "binary")}
    assert any(a["x"].shape[1] % 32 for a in calls)
    assert any(a["x"].shape[0] == 0 for a in calls)
    assert any(not a["x"].is_contiguous() for a in calls)
    assert any(a["x_zero"] is not None and a["w_zero"] is not None for a in calls)


def test_edges_come_within_one_product_of_the_end_of_int32():
    for case in edges():
        total = run(**case.arguments).double().abs().max()
        assert 2**31 - 1 - 255 * 255 < total <= 2**31 - 1, case.name
