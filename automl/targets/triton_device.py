"""Where Triton's kernels can run here: on a GPU, or in the interpreter for correctness alone."""

from __future__ import annotations

import importlib
import importlib.util

import torch

from automl.core.errors import TargetError

__all__ = ["interpreted", "triton_device"]


def interpreted() -> bool:
    """Return whether kernels run in Triton's interpreter."""
    if importlib.util.find_spec("triton") is None:
        return False
    return bool(importlib.import_module("automl.kernels.compilation.triton_impl").interpreting())


def triton_device() -> str:
    """Return the torch device that Triton's kernels run on.

    Raises:
        TargetError: there is no GPU, and the interpreter is not asked for.
    """
    if importlib.util.find_spec("triton") is None:
        raise TargetError("target 'triton' needs the package triton; run: pip install triton")
    if interpreted():
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    raise TargetError(
        "target 'triton' needs a CUDA or ROCm device and this machine has none; use --target torch, or set "
        "TRITON_INTERPRET=1 to run its kernels on the CPU for correctness alone"
    )
