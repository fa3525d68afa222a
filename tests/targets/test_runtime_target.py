"""What every CPU target does with samples, batches and fixed shapes; the worker is a stand-in."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from typing import ClassVar

import numpy as np
import pytest

from automl.core.errors import ConfigError
from automl.core.errors import EvaluationError
from automl.targets.idle_model import idle_model
from automl.targets.runtime_target import RuntimeTarget
from automl.transforms.plan import QuantizationRules

RULES = QuantizationRules(joins=("add",))
FILE = Path("model.onnx")


class Client:
    """Stands for the worker: a model that doubles its input, with a fixed batch or any."""

    started: ClassVar[list[Client]] = []

    def __init__(self, fixed: int | None = None) -> None:
        self.fixed = fixed
        self.batches: list[int] = []
        self.unloaded: list[int] = []
        self.trimmed = 0
        self.pid = 7

    def load(self, path: Path, *, float_type: str, shapes: Any, profile: bool = False) -> Any:
        return 3, self.fixed

    def unload(self, handle: int) -> None:
        self.unloaded.append(handle)

    def trim(self) -> None:
        self.trimmed += 1

    def close(self) -> None:
        self.pid = None

    def call(self, command: str, arguments: Any = None, arrays: Any = ()) -> Any:
        if command == "info":
            facts = {"runtime": "stand-in 1.0", "device": "x86_64", "machine": {"gpu": {"driver": "7"}}}
            return {**facts, "float_types": ["bf16", "f32"], "default_float": "bf16"}, []
        if command == "memory":
            self.asked = {**arguments, "idle": Path(arguments["idle"]).read_bytes()}
            return {"resident": 30 + len(Client.started), "peak": None}, []
        if command == "predict":
            self.batches.append(len(arrays[0]))
            return {}, [2 * arrays[0]]
        if command == "time":
            return {"samples": [[1, 2, 3] for _ in arguments["handles"]], "order": [0, 1], "how": []}, []
        node = {"name": "n", "op": "Convolution", "precision": "i8", "ms": 0.5, "origins": ["conv"]}
        if self.fixed == 99:
            raise EvaluationError("profiling failed")
        return {"nodes": [node]}, []


def make(fixed: int | None = None, **settings: Any) -> tuple[RuntimeTarget, Client]:
    target, client = RuntimeTarget("stand-in", "none", RULES, **settings), Client(fixed)
    target._client = client
    return target, client


def samples(count: int) -> np.ndarray:
    return np.arange(3 * count, dtype=np.float32).reshape(count, 3)


def test_samples_are_run_in_batches_and_joined_in_order() -> None:
    target, client = make()
    (outputs,) = target.predict(FILE, [samples(7)], float_type="f32", batch=3)
    np.testing.assert_array_equal(outputs, 2 * samples(7))
    assert client.batches == [3, 3, 1]
    assert client.trimmed == 1


def test_a_fixed_batch_is_filled_up_and_the_filling_dropped() -> None:
    target, client = make(fixed=4)
    (outputs,) = target.predict(FILE, [samples(6)], float_type="f32", batch=1)
    np.testing.assert_array_equal(outputs, 2 * samples(6))
    assert client.batches == [4, 4]


def test_predictions_are_float32() -> None:
    target, _ = make()
    (outputs,) = target.predict(FILE, [samples(2).astype(np.float64)], float_type="f32", batch=2)
    assert outputs.dtype == np.float32


def test_a_device_the_runtime_does_not_name_is_named_by_the_system() -> None:
    target, _ = make(threads=1, isa="avx2")
    info = target.info()
    assert info.device == info.machine["cpu"] != "x86_64"
    assert info.machine["isa"] == "avx2"
    assert info.machine["gpu"] == {"driver": "7"}
    assert (info.threads, info.default_float, info.float_types) == (1, "bf16", ("bf16", "f32"))
    assert target.info() is info


def test_times_are_summarized_for_each_model() -> None:
    target, _ = make()
    first, second = target.time([(FILE, "f32"), (FILE, "bf16")], [samples(1)], repeats=3)
    assert first == second
    assert (first.median_ms, first.repeats, first.how) == (2.0, 3, "")
    assert target.run_order == (0, 1)


def test_a_model_of_another_batch_is_not_timed() -> None:
    target, _ = make(fixed=8)
    with pytest.raises(EvaluationError, match="takes batches of 8, not 2"):
        target.time([(FILE, "f32")], [samples(2)], repeats=1)


def test_a_profiled_model_is_unloaded_even_when_it_fails() -> None:
    target, client = make()
    (node,) = target.profile(FILE, [samples(1)], float_type="f32", repeats=2)
    assert (node.op, node.origins) == ("Convolution", ("conv",))
    assert client.unloaded == [3]
    target, client = make(fixed=99)
    with pytest.raises(EvaluationError, match="profiling failed"):
        target.profile(FILE, [samples(1)], float_type="f32", repeats=2)
    assert client.unloaded == [3]


def test_inputs_must_hold_the_same_positive_number_of_samples() -> None:
    target, _ = make()
    for inputs in ([samples(0)], [samples(2), samples(3)], []):
        with pytest.raises(EvaluationError, match="same positive number"):
            target.predict(FILE, inputs, float_type="f32", batch=1)


def test_there_is_something_to_repeat() -> None:
    target, _ = make()
    with pytest.raises(EvaluationError, match="at least one"):
        target.time([(FILE, "f32")], [samples(1)], repeats=0)


@pytest.mark.parametrize(
    ("settings", "says"), [({"threads": 0}, "threads are 0"), ({"batch": -1}, "batch is -1")]
)
def test_threads_and_batch_are_positive(settings: dict[str, int], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make(**settings)


def test_closing_stops_the_worker() -> None:
    target, client = make()
    assert target.worker_pid == 7
    target.close()
    assert client.pid is None


def test_memory_is_told_by_one_fresh_process_each_and_none_is_left() -> None:
    target, client = make()
    Client.started = []

    def start() -> Client:
        Client.started.append(Client())
        return Client.started[-1]

    target._start = start
    found = target.memory(FILE, [samples(2)], float_type="bf16", processes=3)
    assert [f.resident_bytes for f in found] == [31, 32, 33]
    assert [c.pid for c in Client.started] == [None] * 3
    assert client.pid == 7
    asked = Client.started[0].asked
    assert (asked["path"], asked["float_type"]) == (str(FILE.resolve()), "bf16")
    assert asked["idle"] == idle_model()


def test_memory_needs_a_process_and_samples() -> None:
    target, _ = make()
    with pytest.raises(EvaluationError, match="processes are 0"):
        target.memory(FILE, [samples(1)], float_type="f32", processes=0)
    with pytest.raises(EvaluationError, match="same positive number"):
        target.memory(FILE, [samples(0)], float_type="f32", processes=1)
