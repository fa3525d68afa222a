"""ONNX Runtime on a real worker: parity, timing, what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from automl.core.errors import EvaluationError
from automl.targets.onnxruntime_target import OnnxRuntimeTarget
from automl.targets.qdq import apply_plan
from automl.transforms.materialize import materialize

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.targets.conftest import Small

MIXED = {"left": "w8a8", "wide": "w8a8", "hidden": "w4g64"}


@pytest.fixture(scope="module")
def target() -> Iterator[OnnxRuntimeTarget]:
    made = OnnxRuntimeTarget(threads=1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def files(small: Small, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    plans = {"mixed": small.plan(MIXED), "float": small.plan({})}
    paths = {}
    for name, plan in plans.items():
        paths[name] = folder / f"{name}.onnx"
        paths[name].write_bytes(apply_plan(small.base, plan, "onnxruntime").SerializeToString())
    return paths


def test_it_computes_in_f32(target: OnnxRuntimeTarget) -> None:
    info = target.info()
    assert info.runtime.startswith("onnxruntime ")
    assert (info.float_types, info.default_float) == (("f32",), "f32")
    assert info.device


def test_float_predictions_equal_torch(
    target: OnnxRuntimeTarget, files: dict[str, Path], small: Small
) -> None:
    (got,) = target.predict(files["float"], [small.images], float_type="f32", batch=3)
    np.testing.assert_allclose(got, small.logits, rtol=1e-3, atol=1e-3)


def test_a_mixed_candidate_equals_its_simulation(
    target: OnnxRuntimeTarget, files: dict[str, Path], small: Small
) -> None:
    with torch.no_grad():
        expected = materialize(small.traced, small.plan(MIXED))(torch.from_numpy(small.images)).numpy()
    (got,) = target.predict(files["mixed"], [small.images], float_type="f32", batch=8)
    assert np.abs(got - expected).max() < 0.03 * np.abs(expected).max()


def test_models_are_timed_side_by_side(
    target: OnnxRuntimeTarget, files: dict[str, Path], small: Small
) -> None:
    timings = target.time([(f, "f32") for f in files.values()], [small.images[:1]], repeats=8)
    assert [t.repeats for t in timings] == [8, 8]
    assert all(0 < t.low_ms <= t.median_ms <= t.high_ms for t in timings)


def test_a_type_it_does_not_compute_in_is_refused_and_the_worker_lives(
    target: OnnxRuntimeTarget, files: dict[str, Path], small: Small
) -> None:
    with pytest.raises(EvaluationError, match="computes in f32"):
        target.predict(files["float"], [small.images], float_type="bf16", batch=1)
    assert target.worker_pid is not None
