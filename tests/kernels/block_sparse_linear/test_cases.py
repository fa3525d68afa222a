from __future__ import annotations

from automl.kernels.block_sparse_linear.blocks_math import SHAPES
from automl.kernels.block_sparse_linear.cases import cases


def test_cases_hold_the_awkward_calls():
    found = list(cases())
    calls = [c.arguments for c in found]
    assert len({c.name for c in found}) == len(found)
    assert {(a["blocks"].shape[2], a["blocks"].shape[1]) for a in calls} == set(SHAPES)
    assert any(a["x"].shape[1] % 16 for a in calls)
    assert any(a["outputs"] % 16 for a in calls)
    assert any(a["x"].shape[0] == 0 for a in calls)
    assert any(not a["x"].is_contiguous() for a in calls)
    assert any(len(a["columns"]) == 0 for a in calls)
    assert any((a["starts"].diff() == 0).any() and len(a["columns"]) for a in calls)
