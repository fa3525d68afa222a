"""Triton's kernels inside the worker process."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import torch

from automl.core.errors import EvaluationError
from automl.core.errors import unknown_name
from automl.targets.torch_serving import FLOAT_TYPES
from automl.targets.torch_serving import load_program
from automl.targets.torch_serving import triton_serving
from automl.targets.triton_device import interpreted
from automl.targets.triton_device import triton_device

if TYPE_CHECKING:
    from automl.targets.torch_serving import TorchModel

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
        self._device = triton_device()

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
        }

    def load(self, path: str, *, float_type: str, shapes: list[list[int]], profile: bool) -> TorchModel:
        """Lower the program for batches of ``shapes``; others are served too."""
        if float_type not in self.info()["float_types"]:
            raise EvaluationError(unknown_name("float type", float_type, self.info()["float_types"]))
        return load_program(Path(path), triton_serving(FLOAT_TYPES[float_type], int(shapes[0][0])))
