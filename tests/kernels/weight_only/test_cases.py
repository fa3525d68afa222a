from __future__ import annotations

import torch

from automl.kernels.weight_only.cases import bound
from automl.kernels.weight_only.cases import cases
from automl.kernels.weight_only.cases import make_arguments


def test_cases_hold_ragged_groups_and_every_kind():
    for bits in (4, 8):
        found = [c.arguments for c in cases(bits)]
        assert any(a["x"].shape[1] % 2 for a in found)
        assert any(a["x"].shape[1] % a["group"] for a in found)
        assert any(a["x"].shape[0] == 0 for a in found)
        assert any(not a["x"].is_contiguous() for a in found)
        assert any(a["zero"] is not None for a in found)
        assert any(a["table"] is not None for a in found) == (bits == 4)
        assert {a["x"].dtype for a in found} == {torch.float32, torch.float16, torch.bfloat16}


def test_the_bound_grows_with_the_coarseness_of_the_type():
    shape = (3, 64, 8, 32)
    exact, half = (
        bound(4, make_arguments(4, shape, "symmetric", 1, dtype), "triton").absolute
        for dtype in (torch.float32, torch.float16)
    )
    assert 50 < half / exact < 2**13
