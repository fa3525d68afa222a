from __future__ import annotations

import numpy as np
import pytest

from automl.core.errors import ArtifactError
from automl.transforms.plan import ActivationQuantizer
from automl.transforms.plan import QuantizationPlan
from automl.transforms.plan import QuantizedWeight
from automl.transforms.plan_file import load_plan
from automl.transforms.plan_file import save_plan


def a_plan():
    codes = np.arange(-6, 6, dtype=np.int8).reshape(3, 4)
    shared = ActivationQuantizer(0.5, 3)
    return QuantizationPlan(
        {
            "a": QuantizedWeight(codes, np.ones(3, np.float32), 4),
            "b": QuantizedWeight(codes, np.ones((3, 2), np.float32), 4, 2, np.zeros(3, np.float32)),
        },
        {("x", "a"): shared, ("x", "b"): shared, ("y", "b"): ActivationQuantizer(0.5, 3)},
        "bf16",
        {"a": "w4a8", "b": "w4g64"},
    )


def test_round_trip_keeps_every_number_and_which_reads_share_a_quantizer(tmp_path):
    plan, path = a_plan(), tmp_path / "p.npz"
    save_plan(path, plan)
    back = load_plan(path)
    assert back.edges == plan.edges
    assert back.edges[("x", "a")] is back.edges[("x", "b")]
    assert (back.float_type, dict(back.precisions)) == (plan.float_type, plan.precisions)
    for site, weight in plan.weights.items():
        np.testing.assert_array_equal(back.weights[site].codes, weight.codes)
        np.testing.assert_array_equal(back.weights[site].scale, weight.scale)
        assert (back.weights[site].bits, back.weights[site].group) == (weight.bits, weight.group)
    assert back.weights["a"].bias is None
    np.testing.assert_array_equal(back.weights["b"].bias, plan.weights["b"].bias)


def test_damaged_and_missing_files_are_artifact_errors(tmp_path):
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_plan(tmp_path / "none.npz")
    path = tmp_path / "p.npz"
    save_plan(path, a_plan())
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_plan(path)
