from __future__ import annotations

from automl.kernels.w4a8_linear.cases import cases
from automl.kernels.w4a8_linear.scales_math import worst_sum


def test_cases_hold_three_forms_and_ragged_groups():
    found = [c.arguments for c in cases()]
    assert sum(a["alpha"] > 0 for a in found) > 15
    assert any(a["alpha"] == 0 and a["scale"].shape[1] > 1 for a in found)
    assert any(a["x"].shape[1] % a["group"] for a in found)
    assert any(a["x"].shape[0] == 0 for a in found)
    assert any(a["group"] % 2 and a["scale"].shape[1] > 1 for a in found)


def test_one_case_stands_at_the_edge_of_int32():
    edge = next(c.arguments for c in cases() if c.name == "integer-largest-sum")
    assert worst_sum(edge["scale"], 128, 256) == 2**31 - 2**17
