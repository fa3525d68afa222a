"""Triton's kernels inside the worker process."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import torch

from automl.core.errors import EvaluationError
from automl.core.errors import unknown_name
from automl.kernels.cuda_device import CudaDevice
from automl.kernels.cuda_device import device_facts
from automl.kernels.device_timing import describe
from automl.kernels.device_timing import input_sets
from automl.kernels.device_timing import schedule
from automl.kernels.device_timing import time_programs
from automl.targets.host_timing import RunTimes
from automl.targets.torch_serving import FLOAT_TYPES
from automl.targets.torch_serving import load_program
from automl.targets.torch_serving import triton_serving
from automl.targets.triton_device import interpreted
from automl.targets.triton_device import triton_device

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from automl.kernels.device_timing import Device
    from automl.targets.torch_serving import TorchModel

    Arrays = Sequence[NDArray[np.generic]]

__all__ = ["TritonBackend"]


class TritonBackend:
    """The GPU, or the interpreter.

    Args:
        threads: threads of the host.

    Raises:
        TargetError: there is neither.
    """

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        self._on_gpu = triton_device() != "cpu"
        self._clock: Device | None = None

    def info(self) -> dict[str, Any]:
        """Return runtime, device and float types; the interpreter has no bfloat16 products."""
        version = importlib.metadata.version("triton")
        if interpreted():
            return {
                "runtime": f"triton {version} interpreter",
                "device": "the interpreter on the CPU",
                "float_types": ["f32"],
                "default_float": "f32",
            }
        return {
            "runtime": f"triton {version}",
            "device": torch.cuda.get_device_name(),
            "float_types": ["bf16", "f32"],
            "default_float": "f32",
            "machine": {"gpu": device_facts()},
        }

    @property
    def timer(self) -> Callable[..., RunTimes] | None:
        """What times models by the device's events; None in the interpreter, which has no such device."""
        return self._time if self._on_gpu else None

    def _time(self, models: Sequence[TorchModel], inputs: Arrays, *, repeats: int, warmup: int) -> RunTimes:
        if self._clock is None:
            self._clock = CudaDevice()
        sets = input_sets(self._clock.cache_bytes, sum(a.nbytes for a in inputs))
        programs = [model.program(inputs, sets) for model in models]
        found = time_programs(programs, self._clock, repeats=repeats, warmup=warmup)
        order = [which for which, _ in schedule([sets] * len(programs), repeats)]
        return RunTimes([list(t.samples_ms) for t in found], order, [describe(t) for t in found])

    def load(self, path: str, *, float_type: str, shapes: list[list[int]], profile: bool) -> TorchModel:
        """Lower the program for batches of ``shapes``; others are served too."""
        if float_type not in self.info()["float_types"]:
            raise EvaluationError(unknown_name("float type", float_type, self.info()["float_types"]))
        return load_program(Path(path), triton_serving(FLOAT_TYPES[float_type], int(shapes[0][0])))
