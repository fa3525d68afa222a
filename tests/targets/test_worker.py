"""The protocol: framing, and a worker loop that survives failing commands."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import pytest

from automl.targets.host_timing import RunTimes
from automl.targets.worker import read_message
from automl.targets.worker import serve
from automl.targets.worker import write_message

if TYPE_CHECKING:
    from collections.abc import Callable


class _Doubler:
    """A model that doubles its input."""

    batch = None

    def run(self, inputs: Any) -> list[Any]:
        return [2 * inputs[0]]

    def bind(self, inputs: Any) -> Callable[[], object]:
        return lambda: self.run(inputs)

    def profile(self, inputs: Any, repeats: int) -> list[dict[str, Any]]:
        return [{"name": "n", "op": "Double", "precision": "f32", "ms": float(repeats), "origins": []}]


class _Backend:
    def info(self) -> dict[str, Any]:
        return {"runtime": "none 1"}

    def load(self, path: str, *, float_type: str, shapes: Any, profile: bool) -> _Doubler:
        if path == "bad":
            raise ValueError("first line\nthe reason")
        return _Doubler()


def _converse(*requests: tuple[dict[str, Any], list[Any]]) -> list[Any]:
    source, sink = io.BytesIO(), io.BytesIO()
    for head, arrays in requests:
        write_message(source, head, arrays)
    source.seek(0)
    serve(_Backend(), source, sink)
    sink.seek(0)
    replies = []
    while (message := read_message(sink)) is not None:
        replies.append(message)
    return replies


def _memory(path: str) -> tuple[dict[str, Any], list[Any]]:
    head = {"command": "memory", "path": path, "idle": "idle", "float_type": "f32", "runs": 2}
    return head, [np.zeros((1, 3))]


def _load(path: str) -> tuple[dict[str, Any], list[Any]]:
    return {"command": "load", "path": path, "float_type": "f32", "shapes": [], "profile": False}, []


@pytest.mark.parametrize("array", [np.arange(6).reshape(2, 3), np.float32(1.5), np.zeros((0, 4), np.uint8)])
def test_arrays_survive_the_pipe(array: Any) -> None:
    pipe = io.BytesIO()
    write_message(pipe, {"a": 1}, [array, array])
    pipe.seek(0)
    head, (first, second) = read_message(pipe) or ({}, [])
    assert head == {"a": 1}
    np.testing.assert_array_equal(first, array)
    assert second.dtype == array.dtype
    assert second.shape == array.shape


def test_a_torn_message_is_noticed() -> None:
    pipe = io.BytesIO()
    write_message(pipe, {}, [np.arange(10)])
    with pytest.raises(EOFError):
        read_message(io.BytesIO(pipe.getvalue()[:-1]))


def test_a_failing_command_is_answered_and_the_next_one_runs() -> None:
    replies = _converse(
        _load("bad"),
        _load("good"),
        ({"command": "predict", "handle": 1}, [np.arange(3)]),
        ({"command": "nonsense"}, []),
        ({"command": "time", "handles": [1, 1], "repeats": 6, "warmup": 1}, [np.arange(3)]),
        ({"command": "unload", "handle": 1}, []),
        ({"command": "predict", "handle": 1}, [np.arange(3)]),
    )
    assert [r[0]["ok"] for r in replies] == [False, True, True, False, True, True, False]
    assert replies[0][0]["error"] == "ValueError: first line the reason"
    np.testing.assert_array_equal(replies[2][1][0], [0, 2, 4])
    assert [len(s) for s in replies[4][0]["samples"]] == [6, 6]


def test_a_backend_with_a_clock_of_its_own_times_by_it_and_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def timer(models: Any, inputs: Any, *, repeats: int, warmup: int) -> Any:
        asked.append((len(models), len(inputs), repeats, warmup))
        return RunTimes([[0.5] * repeats for _ in models], [0, 1] * repeats, ["graph", "eager"])

    time = {"command": "time", "handles": [2, 1], "repeats": 3, "warmup": 2}
    monkeypatch.setattr(_Backend, "timer", staticmethod(timer), raising=False)
    *_, (reply, _) = _converse(_load("a"), _load("b"), (time, [np.arange(3)]))
    assert (reply["samples"], reply["how"]) == ([[0.5] * 3] * 2, ["graph", "eager"])
    assert reply["order"] == [0, 1] * 3
    assert asked == [(2, 1, 3, 2)]
    # In the interpreter there is no such device.
    monkeypatch.setattr(_Backend, "timer", None)
    *_, (reply, _) = _converse(_load("a"), _load("b"), (time, [np.arange(3)]))
    assert ([len(s) for s in reply["samples"]], reply["how"]) == ([3, 3], [])


class _Holder(_Doubler):
    def __init__(self, megabytes: int) -> None:
        self.held = np.ones(megabytes * 10**6, np.uint8)


def test_memory_is_told_beyond_the_idle_model(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"idle": 30, "large": 20}
    monkeypatch.setattr(_Backend, "load", lambda self, path, **settings: _Holder(sizes[path]))
    ((reply, arrays),) = _converse(_memory("large"))
    assert reply["ok"]
    assert reply["resident"] == pytest.approx(20e6, rel=0.1)
    assert reply["peak"] >= reply["resident"]
    assert arrays == []


def test_memory_is_refused_where_another_model_was_loaded() -> None:
    replies = [r for r, _ in _converse(_load("good"), _memory("good"))]
    assert [r["ok"] for r in replies] == [True, False]
    assert "has loaded 1 models; start another worker" in replies[1]["error"]
