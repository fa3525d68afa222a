"""The default target on a real worker: parity, timing, profile, failures."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from automl.core.errors import EvaluationError
from automl.targets.openvino_target import OpenVinoTarget
from automl.targets.qdq import apply_plan
from automl.transforms.materialize import materialize

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.targets.conftest import Small


@pytest.fixture(scope="module")
def target() -> Iterator[OpenVinoTarget]:
    made = OpenVinoTarget(threads=1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def files(small: Small, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    sites = ("stem", "left", "wide", "hidden", "head")
    plans = {
        "int8": small.plan(dict.fromkeys(sites, "w8a8")),
        "mixed": small.plan({"left": "w8a8", "hidden": "w4g64"}),
    }
    paths = {"float": folder / "float.onnx"}
    paths["float"].write_bytes(small.base.to_model().SerializeToString())
    for name, plan in plans.items():
        paths[name] = folder / f"{name}.onnx"
        paths[name].write_bytes(apply_plan(small.base, plan, "openvino").SerializeToString())
    return paths


def test_info_tells_runtime_and_machine(target: OpenVinoTarget) -> None:
    info = target.info()
    assert info.runtime.startswith("openvino ")
    assert info.default_float == info.float_types[0]
    assert "f32" in info.float_types
    assert info.machine["threads"] == 1


def test_float_predictions_equal_torch_with_a_partial_last_batch(
    target: OpenVinoTarget, files: dict[str, Path], small: Small
) -> None:
    (got,) = target.predict(files["float"], [small.images], float_type="f32", batch=3)
    np.testing.assert_allclose(got, small.logits, rtol=1e-3, atol=1e-3)


def test_mixed_candidate_equals_its_simulation(
    target: OpenVinoTarget, files: dict[str, Path], small: Small
) -> None:
    plan = small.plan({"left": "w8a8", "hidden": "w4g64"})
    with torch.no_grad():
        expected = materialize(small.traced, plan)(torch.from_numpy(small.images)).numpy()
    (got,) = target.predict(files["mixed"], [small.images], float_type="f32", batch=8)
    assert np.abs(got - expected).max() < 0.02 * np.abs(expected).max()


def test_quantized_sites_run_in_integers_and_are_traced_back(
    target: OpenVinoTarget, files: dict[str, Path], small: Small
) -> None:
    nodes = target.profile(files["int8"], [small.images[:1]], float_type="f32", repeats=5)
    convolutions = [n for n in nodes if n.op == "Convolution"]
    assert len(convolutions) == 3
    assert {n.precision for n in convolutions} <= {"u8", "i8"}
    by_site = {n.site: n.name for n in small.traced.graph.nodes if n.site}
    for site, node in zip(("stem", "left", "wide"), convolutions, strict=True):
        assert by_site[site] in node.origins
    assert all(n.ms >= 0 for n in nodes)


def test_models_are_timed_side_by_side(target: OpenVinoTarget, files: dict[str, Path], small: Small) -> None:
    pairs = [(files["float"], "f32"), (files["int8"], "f32")]
    timings = target.time(pairs, [small.images[:1]], repeats=10)
    assert [t.repeats for t in timings] == [10, 10]
    assert all(0 < t.low_ms <= t.median_ms <= t.high_ms for t in timings)


def test_a_broken_file_is_an_evaluation_error_and_the_worker_lives(
    target: OpenVinoTarget, files: dict[str, Path], small: Small, tmp_path: Path
) -> None:
    target.info()
    before = target.worker_pid
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(files["float"].read_bytes()[:200])
    with pytest.raises(EvaluationError, match="failed at 'load'"):
        target.predict(broken, [small.images], float_type="f32", batch=1)
    with pytest.raises(EvaluationError, match="no model file"):
        target.predict(tmp_path / "none.onnx", [small.images], float_type="f32", batch=1)
    assert target.worker_pid == before is not None


def test_a_killed_worker_is_replaced(target: OpenVinoTarget, files: dict[str, Path], small: Small) -> None:
    (before,) = target.predict(files["float"], [small.images], float_type="f32", batch=8)
    pid = target.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    (after,) = target.predict(files["float"], [small.images], float_type="f32", batch=8)
    assert target.worker_pid not in (None, pid)
    np.testing.assert_array_equal(before, after)


def test_instruction_set_cap_reaches_the_record() -> None:
    capped = OpenVinoTarget(isa="avx512_core", threads=1)
    assert capped.info().name == "openvino:isa=avx512_core"
    assert capped.info().machine["isa"] == "avx512_core"
    capped.close()
