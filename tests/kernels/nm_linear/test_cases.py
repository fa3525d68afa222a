from __future__ import annotations

import torch

from automl.kernels.nm_linear.cases import cases
from automl.kernels.nm_linear.cases import longest
from automl.kernels.nm_linear.reference import run


def test_cases_hold_the_awkward_calls():
    found = list(cases())
    calls = [c.arguments for c in found]
    assert len({c.name for c in found}) == len(found)
    assert {a["x"].dtype for a in calls} == {torch.float16, torch.bfloat16, torch.int8}
    assert any(a["x"].shape[1] % 8 for a in calls)
    assert any(a["x"].shape[0] == 0 for a in calls)
    assert any(not a["x"].is_contiguous() for a in calls)
    assert all(
        a["out_dtype"] != torch.int32 or c.bound.absolute == 0 for a, c in zip(calls, found, strict=True)
    )


def test_the_longest_sum_comes_within_one_product_of_the_end_of_int32():
    assert 2**31 - 1 - 128 * 128 < int(run(**longest())) <= 2**31 - 1
