"""The measuring process: loads models in a serving runtime and answers commands over its standard streams.

Start it with ``python -m automl.targets.worker openvino`` (or ``onnxruntime``); environment settings such as
``ONEDNN_MAX_CPU_ISA`` must be in place before the runtime is loaded, which is why it is a process of its own.

Protocol, both directions: one JSON line, then the raw bytes of the arrays that its ``arrays`` field describes
as ``[dtype, shape]`` pairs. A request has ``command`` and its arguments; a reply has ``ok`` and either the
result or ``error``. A command that fails is answered and the worker lives on. The real standard output
belongs to the protocol alone: whatever native libraries print goes to standard error. The worker ends when
its input ends or its parent is gone.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
from dataclasses import asdict
from math import prod
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol

import numpy as np

from automl.core.errors import TargetError
from automl.core.errors import unknown_name
from automl.targets.footprint import serving_footprint
from automl.targets.host_timing import time_on_host
from automl.targets.idle_model import idle_input
from automl.targets.own_core import claim_core

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence
    from typing import BinaryIO

    from numpy.typing import NDArray

    Arrays = Sequence[NDArray[np.generic]]

__all__ = ["BACKENDS", "OWN_CORE", "Backend", "LoadedModel", "main", "read_message", "serve", "write_message"]

#: Argument that keeps the process to a core.
OWN_CORE = "own-core"

#: Runtime name -> class that serves it, as ``module:class``; only the requested one is imported.
BACKENDS = {
    "openvino": "automl.targets.openvino_backend:OpenVinoBackend",
    "onnxruntime": "automl.targets.onnxruntime_backend:OnnxRuntimeBackend",
    "torch": "automl.targets.torch_backend:TorchBackend",
    "triton": "automl.targets.triton_backend:TritonBackend",
}


class LoadedModel(Protocol):
    """A compiled model.

    Attributes:
        batch: samples it takes per run, or None when any number.
    """

    batch: int | None

    def run(self, inputs: Arrays) -> list[NDArray[np.generic]]:
        """Run one batch."""

    def bind(self, inputs: Arrays) -> Callable[[], object]:
        """Return a function that runs the model on ``inputs``, for timing."""

    def profile(self, inputs: Arrays, repeats: int) -> list[dict[str, Any]]:
        """Return executed nodes in order (name, op, precision, ms, origins) of a model loaded for it."""


class Backend(Protocol):
    """A serving runtime inside the worker.

    One whose device has a clock of its own also has a ``timer``, called in place of
    :func:`automl.targets.host_timing.time_on_host` where it is not None.
    """

    def info(self) -> dict[str, Any]:
        """Return runtime, device, float_types, default_float."""

    def load(self, path: str, *, float_type: str, shapes: list[list[int]], profile: bool) -> LoadedModel:
        """Compile the model at ``path`` for inputs of ``shapes``."""


def write_message(stream: BinaryIO, head: dict[str, Any], arrays: Arrays = ()) -> None:
    """Write one message."""
    parts = [np.ascontiguousarray(a) for a in arrays]
    described = [[str(a.dtype), list(np.shape(b))] for a, b in zip(parts, arrays, strict=True)]
    stream.write(json.dumps({**head, "arrays": described}).encode() + b"\n")
    for part in parts:
        stream.write(part.tobytes())
    stream.flush()


def read_message(stream: BinaryIO) -> tuple[dict[str, Any], list[NDArray[np.generic]]] | None:
    """Read one message; None at the end of the stream.

    Raises:
        EOFError: the stream ends inside a message.
    """
    line = stream.readline()
    if not line:
        return None
    head: dict[str, Any] = json.loads(line)
    arrays: list[NDArray[np.generic]] = []
    for dtype, shape in head.pop("arrays", []):
        kind = np.dtype(dtype)
        data = bytearray(stream.read(prod(shape) * kind.itemsize))
        if len(data) < prod(shape) * kind.itemsize:
            raise EOFError("the stream ended inside an array")
        arrays.append(np.frombuffer(data, kind).reshape(shape))
    return head, arrays


class _Session:
    """Loaded models and the commands on them."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._models: dict[int, LoadedModel] = {}
        self._next = 0

    def answer(self, head: dict[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
        """Carry out one command."""
        command = head["command"]
        if command == "info":
            return self._backend.info(), ()
        if command == "load":
            model = self._backend.load(
                head["path"], float_type=head["float_type"], shapes=head["shapes"], profile=head["profile"]
            )
            self._next += 1
            self._models[self._next] = model
            return {"handle": self._next, "batch": model.batch}, ()
        if command == "unload":
            del self._models[head["handle"]]
            return {}, ()
        if command == "predict":
            return {}, self._models[head["handle"]].run(arrays)
        if command == "profile":
            return {"nodes": self._models[head["handle"]].profile(arrays, head["repeats"])}, ()
        if command == "time":
            return self._time(head["handles"], arrays, head["repeats"], head["warmup"]), ()
        if command == "memory":
            return dict(self._memory(head, arrays)), ()
        raise TargetError(f"unknown worker command '{command}'; update both sides of the protocol")

    def _memory(self, head: dict[str, Any], inputs: Arrays) -> dict[str, int | None]:
        """Return what serving the model adds to this process's resident memory, in bytes."""
        if self._next:
            raise TargetError(
                f"memory is measured in a process that has loaded nothing, this one has loaded {self._next} "
                "models; start another worker"
            )
        self._next += 1
        tiny = [idle_input()]

        def load(path: str, arrays: Arrays) -> LoadedModel:
            shapes = [list(a.shape) for a in arrays]
            return self._backend.load(path, float_type=head["float_type"], shapes=shapes, profile=False)

        def serve_idle() -> LoadedModel:
            model = load(head["idle"], tiny)
            model.run(tiny)
            return model

        return serving_footprint(serve_idle, lambda: load(head["path"], inputs), inputs, head["runs"])

    def _time(self, handles: list[int], inputs: Arrays, repeats: int, warmup: int) -> dict[str, Any]:
        """Return the run times of the models, by the clock of their device where it has one."""
        timer = getattr(self._backend, "timer", None) or time_on_host
        return asdict(timer([self._models[h] for h in handles], inputs, repeats=repeats, warmup=warmup))


def serve(backend: Backend, source: BinaryIO, sink: BinaryIO) -> None:
    """Answer requests from ``source`` until it ends."""
    session = _Session(backend)
    while True:
        message = read_message(source)
        if message is None:
            return
        head, arrays = message
        try:
            reply, out = session.answer(head, arrays)
        except Exception as error:  # noqa: BLE001 - the worker boundary: the reason goes to the client
            write_message(sink, {"ok": False, "error": _reason(error)})
        else:
            write_message(sink, {"ok": True, **reply}, out)


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[-2:])[:400]}" if lines else type(error).__name__


def _follow_parent(parent: int) -> None:
    """End this process when its parent is gone, even from within a long native call."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def main(arguments: Sequence[str]) -> int:
    """Serve the runtime named first, with the threads given second, on a core of its own if that is third."""
    private = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    threading.Thread(target=_follow_parent, args=(os.getppid(),), daemon=True).start()
    name, threads = arguments[0], int(arguments[1])
    if OWN_CORE in arguments[2:]:
        claim_core()
    with os.fdopen(private, "wb") as sink:
        try:
            if name not in BACKENDS:
                raise TargetError(unknown_name("runtime", name, BACKENDS))
            module, _, attribute = BACKENDS[name].partition(":")
            backend: Backend = getattr(importlib.import_module(module), attribute)(threads)
        except Exception as error:  # noqa: BLE001 - the worker boundary: the reason goes to the client
            write_message(sink, {"ok": False, "error": _reason(error)})
            return 1
        write_message(sink, {"ok": True})
        serve(backend, sys.stdin.buffer, sink)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
