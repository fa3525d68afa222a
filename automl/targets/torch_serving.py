"""A loaded torch program: checked, lowered, and called with numpy arrays; the worker and artifacts use it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import torch
from torch import fx

from automl.core.errors import EvaluationError
from automl.core.errors import unknown_name
from automl.kernels.cuda_device import CudaDevice
from automl.kernels.device_timing import Program
from automl.targets.host_timing import HostClock
from automl.targets.torch_lowering import lower
from automl.targets.torch_program import read_program
from automl.targets.torch_sites import Serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from automl.kernels.device_timing import Marks
    from automl.targets.torch_lowering import Lowered
    from automl.targets.torch_program import ProgramInput

    Arrays = Sequence[NDArray[np.generic]]

__all__ = ["FLOAT_TYPES", "TorchModel", "load_program", "open_artifact"]

FLOAT_TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}

#: Profiled runs left out of the mean.
_COLD = 3


class TorchModel:
    """A lowered program.

    Args:
        lowered: what runs.
        inputs: the program's inputs.
        device: torch device of the tensors.
    """

    def __init__(self, lowered: Lowered, inputs: tuple[ProgramInput, ...], device: str) -> None:
        self.inputs = inputs
        self.batch: int | None = inputs[0].shape[0] or None
        self._lowered = lowered
        self._device = device

    def run(self, inputs: Arrays) -> list[NDArray[np.generic]]:
        """Run one batch."""
        with torch.inference_mode():
            outputs = self._lowered.run(*self._tensors(inputs))
        found = outputs if isinstance(outputs, tuple | list) else (outputs,)
        return [o.cpu().numpy() for o in found]

    def bind(self, inputs: Arrays) -> Callable[[], object]:
        """Return a function that runs the model on ``inputs``."""
        tensors, run, on_gpu = self._tensors(inputs), self._lowered.run, self._device != "cpu"

        def call() -> object:
            with torch.inference_mode():
                outputs = run(*tensors)
            if on_gpu:
                torch.cuda.synchronize()
            return outputs

        return call

    def program(self, inputs: Arrays, sets: int) -> Program:
        """Return the model on ``sets`` copies of ``inputs``, each in memory of its own, for a device's clock.

        A run queues its work and does not wait for it.
        """

        def bound(tensors: list[torch.Tensor]) -> Callable[[], object]:
            def call() -> object:
                with torch.inference_mode():
                    return self._lowered.run(*tensors)

            return call

        copies = ([t.clone() for t in self._tensors(inputs)] for _ in range(sets))
        return Program(tuple(map(bound, copies)), self._lowered.waits)

    def profile(self, inputs: Arrays, repeats: int, clock: Marks | None = None) -> list[dict[str, Any]]:
        """Return executed nodes with mean times of all but the first runs.

        Args:
            inputs: one batch.
            repeats: runs that count.
            clock: takes the times; that of the model's device when None.
        """
        tensors = self._tensors(inputs)
        if clock is None:
            clock = HostClock() if self._device == "cpu" else CudaDevice()
        spent: dict[fx.Node, list[float]] = {}
        with torch.inference_mode():
            for _ in range(_COLD + repeats):
                self._timed_run(tensors, spent, clock)
        rows = []
        for node, times in spent.items():
            label = node.meta.get("kind", "")
            rows.append(
                {
                    "name": node.name,
                    "op": f"{label} layer" if node.op == "call_module" else node.name.rstrip("_0123456789"),
                    "precision": node.meta.get("precision", str(node.meta.get("dtype", ""))).removeprefix(
                        "torch."
                    ),
                    "ms": float(np.mean(times[_COLD:])),
                    "origins": list(node.meta.get("origins", (node.name,))),
                }
            )
        return rows

    def _timed_run(
        self, tensors: Sequence[torch.Tensor], spent: dict[fx.Node, list[float]], clock: Marks
    ) -> None:
        """Run once and add every node's milliseconds; the device is waited for at the end alone."""
        marks: dict[fx.Node, tuple[Any, Any]] = {}
        values: dict[fx.Node, Any] = {}
        waiting = iter(tensors)
        for node in self._lowered.graph.nodes:
            if node.op == "placeholder":
                values[node] = next(waiting)
            elif node.op == "get_attr":
                values[node] = self._lowered.parts[node.target]
            elif node.op != "output":
                call = self._lowered.parts[node.target] if node.op == "call_module" else node.target
                arguments = fx.node.map_arg(node.args, values.__getitem__)
                named = fx.node.map_arg(node.kwargs, values.__getitem__)
                start = clock.mark()
                values[node] = call(*arguments, **named)
                marks[node] = start, clock.mark()
        clock.synchronize()
        for node, (start, end) in marks.items():
            spent.setdefault(node, []).append(clock.elapsed_ms(start, end))

    def _tensors(self, inputs: Arrays) -> list[torch.Tensor]:
        if len(inputs) != len(self.inputs):
            raise EvaluationError(f"the model takes {len(self.inputs)} inputs, got {len(inputs)}")
        made = []
        for wanted, array in zip(self.inputs, inputs, strict=True):
            held = np.ascontiguousarray(array, dtype=np.dtype(wanted.dtype))
            held = held if held.flags.writeable else held.copy()
            made.append(torch.from_numpy(held).to(self._device))
        return made


def load_program(path: Path, serving: Serving) -> TorchModel:
    """Return the program of a file, ready to run.

    Raises:
        EvaluationError: the file is no such program, or quantizes something that no layer serves.
    """
    program = read_program(path)
    with torch.inference_mode():
        lowered = lower(program, serving)
    return TorchModel(lowered, program.inputs, serving.device)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def open_artifact(
    path: Path, target: str, *, float_type: str, threads: int
) -> tuple[tuple[ProgramInput, ...], Callable[[tuple[NDArray[np.generic], ...]], Any]]:
    """Return the inputs of an artifact's program and a function that runs one batch in this process.

    Args:
        path: the program.
        target: ``torch`` or ``triton``.
        float_type: type of everything that is not quantized.
        threads: threads of a CPU.

    Raises:
        EvaluationError: the program or the float type cannot be used.
        TargetError: the target has no device here.
    """
    if float_type not in FLOAT_TYPES:
        raise EvaluationError(unknown_name("float type", float_type, FLOAT_TYPES))
    kind = FLOAT_TYPES[float_type]
    serving = Serving(kind) if target == "torch" else triton_serving(kind)
    model = load_program(path, serving)

    def call(inputs: tuple[NDArray[np.generic], ...]) -> tuple[NDArray[np.generic], ...]:
        with _threads(threads):
            return tuple(model.run(inputs))

    return model.inputs, call


def triton_serving(float_type: torch.dtype, batch: int = 1) -> Serving:
    """Return how Triton's kernels serve a program here: on a GPU, or in the interpreter.

    Raises:
        TargetError: there is neither.
    """
    from automl.targets.triton_device import triton_device

    return Serving(float_type, batch, triton_device(), "triton", four_bit=True)
