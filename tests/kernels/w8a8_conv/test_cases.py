from __future__ import annotations

import torch

from automl.kernels.w8a8_conv.cases import cases
from automl.kernels.w8a8_conv.cpu_impl import _LARGE_MAP
from automl.kernels.w8a8_conv.reference import ACTIVATIONS


def test_cases_hold_the_awkward_geometries_and_every_epilogue():
    found = [c.arguments for c in cases()]
    assert any(a["x"].shape[0] == 0 for a in found)
    assert any(a["groups"] == a["x"].shape[1] > 1 for a in found)
    assert any(1 < a["groups"] < a["x"].shape[1] for a in found)
    assert any(a["dilation"] != [1, 1] and a["x_zero"] and any(a["padding"]) for a in found)
    assert any(len(a["padding"]) == 4 for a in found)
    assert any(a["x_zero"] and a["w"].shape[1] == 1 and a["x"][0].numel() >= _LARGE_MAP for a in found)
    assert any(a["x"].is_contiguous(memory_format=torch.channels_last) for a in found)
    assert any(not a["x"].is_contiguous() and not a["w"].is_contiguous() for a in found)
    assert {a["activation"] for a in found} == set(ACTIVATIONS)
    assert {a["out_dtype"] for a in found} == {torch.float32, torch.float16, torch.bfloat16, torch.uint8}
    assert any(a["residual"] is not None and a["residual"].dtype == torch.uint8 for a in found)


def test_codes_of_exact_steps_have_no_bound_to_hide_in():
    exact = [c for c in cases() if "codes" in c.name]
    assert len(exact) > 20
    assert all(c.bound.absolute == c.bound.relative == 0.0 for c in exact)


def test_bounds_are_tight():
    # A wrong code changes the sum by at least one unit, which no bound may hide.
    for case in cases():
        a = case.arguments
        if (
            a["x"].numel()
            and a["activation"] == "none"
            and a["out_dtype"] == torch.float32
            and a["residual"] is None
        ):
            unit = float(a["x_scale"]) * float(a["w_scale"].min())
            assert case.bound.absolute < unit or case.name == "longest-sum"
