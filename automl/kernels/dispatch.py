"""Which implementation serves a call, and why."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import torch

from automl.core.errors import KernelError
from automl.core.errors import unknown_name
from automl.kernels.native.library import native_obstacle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automl.kernels.spec import KernelSpec

__all__ = ["PREFERENCES", "Choice", "choose", "obstacle"]

PREFERENCES = ("auto", "triton", "cpu", "reference")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """The answer of dispatch.

    Args:
        implementation: ``triton``, ``cpu`` or ``reference``.
        reason: one sentence, printed in reports.
    """

    implementation: str
    reason: str


def choose(
    kernel: KernelSpec,
    device: str,
    *,
    preference: str = "auto",
    refused: Mapping[str, str | None] | None = None,
) -> Choice:
    """Return the implementation for tensors on ``device``.

    Args:
        kernel: the kernel.
        device: torch device type; ROCm devices are called ``cuda`` too.
        preference: one of ``PREFERENCES``; anything but ``auto`` is an order.
        refused: implementation -> why it cannot serve this very call, None where it can.

    Raises:
        KernelError: unknown preference, or the ordered implementation cannot serve the call.
    """
    if preference not in PREFERENCES:
        raise KernelError(unknown_name("preference", preference, PREFERENCES))
    known = dict(refused or {})

    def reason_against(which: str) -> str | None:
        return obstacle(kernel, which, device) or known.get(which)

    if preference != "auto":
        if reason := reason_against(preference):
            raise KernelError(
                f"kernel '{kernel.name}' cannot run as '{preference}' on {device}: {reason}; "
                "use preference 'auto' or 'reference'"
            )
        return Choice(preference, f"asked for by preference={preference}")
    fast = "cpu" if device == "cpu" else "triton"
    reason = reason_against(fast)
    if reason is None:
        served = _native_words() if fast == "cpu" and kernel.native else ""
        return Choice(fast, f"tensors are on {device}{served}")
    _tell(f"kernel '{kernel.name}' runs as its reference on {device}: {reason}")
    return Choice("reference", reason)


def obstacle(kernel: KernelSpec, which: str, device: str) -> str | None:
    """Return why ``which`` can serve no call of the kernel on ``device``, or None when it can serve some."""
    if which not in kernel.implementations:
        why = {"cpu": kernel.cpu, "triton": kernel.triton}.get(which)
        return why or f"it has no '{which}' implementation"
    if which == "cpu" and device != "cpu":
        return f"the tensors are on {device}"
    return _triton_obstacle(device) if which == "triton" else None


# Tracing does not follow an import; what is answered here does not change while a program runs.
@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _triton_obstacle(device: str) -> str | None:
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed"
    if device == "cuda":
        return None
    compiler = importlib.import_module("automl.kernels.compilation.triton_impl")
    if device == "cpu" and compiler.interpreting():
        return None
    return (
        f"triton needs a CUDA or ROCm device and the tensors are on {device} "
        "(TRITON_INTERPRET=1 runs it on the CPU for correctness alone)"
    )


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _native_words() -> str:
    reason = native_obstacle()
    return ", compiled kernels serve" if reason is None else f", operators of torch serve ({reason})"


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _tell(text: str) -> None:
    # Under torch.compile this runs while the function is traced, which the call of a logger would break.
    _log_once(text)


@cache
def _log_once(text: str) -> None:
    _log.warning(text)
