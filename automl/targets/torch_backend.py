"""torch on the CPU, with the package's kernels, inside the worker process."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import torch

from automl.core.errors import EvaluationError
from automl.core.errors import unknown_name
from automl.kernels.native.library import native
from automl.targets.fingerprint import cpu_facts
from automl.targets.torch_serving import FLOAT_TYPES
from automl.targets.torch_serving import load_program
from automl.targets.torch_sites import Serving

if TYPE_CHECKING:
    from automl.targets.torch_serving import TorchModel

__all__ = ["TorchBackend", "cpu_float_types"]

#: Processor features with which bfloat16 products are faster than float32 ones.
_HALF_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def cpu_float_types() -> list[str]:
    """Return the float types that this processor multiplies fast, best first."""
    half = _HALF_FLAGS & set(cpu_facts()["flags"])
    return ["bf16", "f32"] if half else ["f32"]


class TorchBackend:
    """The CPU of this process.

    Args:
        threads: threads within an operator.
    """

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)

    def info(self) -> dict[str, Any]:
        """Return runtime, device and float types; left alone, torch computes in float32."""
        version = torch.__version__.partition("+")[0]
        # Times with and without them are not those of one runtime.
        with_native = "alone" if native() is None else "with kernels in C++"
        return {
            "runtime": f"torch {version} {with_native}",
            "device": platform.processor() or platform.machine(),
            "float_types": cpu_float_types(),
            "default_float": "f32",
        }

    def load(self, path: str, *, float_type: str, shapes: list[list[int]], profile: bool) -> TorchModel:
        """Lower the program for batches of ``shapes``; others are served too."""
        if float_type not in FLOAT_TYPES:
            raise EvaluationError(unknown_name("float type", float_type, FLOAT_TYPES))
        return load_program(Path(path), Serving(FLOAT_TYPES[float_type], batch=int(shapes[0][0])))
