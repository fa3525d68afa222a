"""Memory as a metric, from readings of a stand-in, and measured on models whose weights differ by 40 MB."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper

from automl.core.errors import EvaluationError
from automl.evaluators.memory import measure_memory
from automl.targets.base import Footprint
from automl.targets.runtime_target import RuntimeTarget
from automl.targets.table import make_target
from automl.targets.worker_client import WorkerClient

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE = Path("candidate.onnx")
MEGABYTE = 10**6
TOKENS = [np.array([[1, 5, 2]], dtype=np.int64)]


class Told:
    """A target that tells footprints given beforehand."""

    def __init__(self, *found: Footprint) -> None:
        self.found = list(found)

    def memory(
        self, model: Path, inputs: Sequence[object], *, float_type: str, processes: int
    ) -> list[Footprint]:
        assert processes == len(self.found)
        return self.found


def embedding(folder: Path, rows: int) -> Path:
    """Write a table of ``rows`` float32 rows of 1000, which runtimes keep as it is, behind token numbers."""
    table = np.ones((rows, 1000), np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "tokens"], ["y"])],
        "embedding",
        [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3, 1000])],
        [numpy_helper.from_array(table, "table")],
    )
    file = folder / f"{rows}.onnx"
    file.write_bytes(
        helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
        ).SerializeToString()
    )
    return file


def test_the_figure_is_the_median_with_the_range_of_what_was_seen() -> None:
    told = Told(Footprint(30, 70), Footprint(20, 90), Footprint(28, 60))
    measured = measure_memory(told, FILE, "f32", TOKENS)
    memory, peak = measured["memory_bytes"], measured["memory_peak_bytes"]
    assert (memory.value, memory.low, memory.high, memory.n, memory.unit) == (28, 20, 30, 3, "B")
    assert (peak.value, peak.low, peak.high, peak.n) == (70, 60, 90, 3)


def test_a_peak_that_one_process_could_not_tell_is_left_out() -> None:
    told = Told(Footprint(30, 70), Footprint(20), Footprint(28, 60))
    assert list(measure_memory(told, FILE, "f32", TOKENS)) == ["memory_bytes"]


def test_nothing_is_never_a_measurement() -> None:
    with pytest.raises(EvaluationError, match="took 0 bytes"):
        measure_memory(Told(Footprint(30), Footprint(0)), FILE, "f32", TOKENS, processes=2)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_forty_megabytes_more_of_weights_are_forty_megabytes_more(runtime: str, tmp_path: Path) -> None:
    target = make_target(runtime, threads=1)
    small, large = (
        measure_memory(target, embedding(tmp_path, rows), "f32", TOKENS, processes=1)["memory_bytes"].value
        for rows in (2_500, 12_500)
    )
    assert large - small == pytest.approx(40 * MEGABYTE, rel=0.05)


def test_two_sittings_agree_within_a_few_percent(tmp_path: Path) -> None:
    target, file = make_target("onnxruntime", threads=1), embedding(tmp_path, 5_000)
    first, second = (measure_memory(target, file, "f32", TOKENS, processes=2) for _ in range(2))
    assert first["memory_bytes"].value == pytest.approx(second["memory_bytes"].value, rel=0.03)


def test_a_process_that_dies_is_a_failure_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = make_target("onnxruntime", threads=1)
    call = WorkerClient.call

    def killed(client: WorkerClient, command: str, *rest: object) -> object:
        client._running()
        assert client.pid is not None
        os.kill(client.pid, signal.SIGKILL)
        return call(client, command, *rest)

    monkeypatch.setattr(WorkerClient, "call", killed)
    with pytest.raises(EvaluationError, match="onnxruntime worker died during 'memory'"):
        measure_memory(target, embedding(tmp_path, 10), "f32", TOKENS)


def test_a_damaged_file_is_a_failure_with_a_reason(tmp_path: Path) -> None:
    file = tmp_path / "m.onnx"
    file.write_bytes(b"no model")
    target = make_target("onnxruntime", threads=1)
    assert isinstance(target, RuntimeTarget)
    with pytest.raises(EvaluationError, match="onnxruntime failed at 'memory'"):
        measure_memory(target, file, "f32", TOKENS, processes=1)
    assert target.worker_pid is None
