"""Running the cases of every kernel through every implementation that this machine can run."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from automl.kernels import table
from automl.kernels.cases import run_case
from automl.kernels.dispatch import obstacle
from automl.kernels.native.library import WAYS
from automl.kernels.native.library import native_obstacle
from automl.kernels.native.library import using

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence

    from automl.kernels.spec import KernelSpec

__all__ = ["CheckRow", "check_kernels"]


@dataclass(frozen=True)
class CheckRow:
    """What one implementation of one kernel did.

    Args:
        kernel: name.
        implementation: ``cpu`` or ``triton``.
        cases: that it was asked to serve.
        failed: of those, the ones beyond their bound.
        refused: cases that it refused, with a reason.
        reason: the first failure, or why nothing ran; empty when all is well.
        way: of ``automl.kernels.native.library.WAYS``, empty where nothing is compiled from C++.
    """

    kernel: str
    implementation: str
    cases: int
    failed: int
    refused: int
    reason: str
    way: str = ""


def check_kernels(kernels: Sequence[str] = ()) -> Iterator[CheckRow]:
    """Yield a row per kernel and implementation other than the reference, and way of the native kernels.

    Args:
        kernels: names; all when empty.

    Raises:
        KernelError: unknown kernel.
    """
    triton_device = "cuda" if torch.cuda.is_available() else "cpu"
    for name in kernels or table.KERNELS:
        spec = table.spec(name)
        for which in spec.implementations:
            if which != "reference":
                device = triton_device if which == "triton" else "cpu"
                for way in WAYS if which == "cpu" and spec.native else ("",):
                    yield _check_way(spec, which, device, way)


def _check_way(spec: KernelSpec, which: str, device: str, way: str) -> CheckRow:
    reason = obstacle(spec, which, device)
    if not way:
        row = CheckRow(spec.name, which, 0, 0, 0, reason or "")
        return _check(spec.name, which, device) if reason is None else row
    with using(way):
        reason = reason or (native_obstacle() if way != "off" else None)
        if reason is not None:
            return CheckRow(spec.name, which, 0, 0, 0, reason, way)
        return replace(_check(spec.name, which, device), way=way)


def _moved(value: object, device: str) -> object:
    return value.to(device) if isinstance(value, torch.Tensor) else value


def _check(name: str, which: str, device: str) -> CheckRow:
    run, reference = table.implementation(name, which), table.implementation(name, "reference")
    served, failures, refused = 0, [], 0
    for case in table.cases(name):
        if table.refusal(name, which, case.arguments) is not None:
            refused += 1
            continue
        served += 1
        moved = replace(case, arguments={n: _moved(v, device) for n, v in case.arguments.items()})
        if wrong := run_case(moved, which, run, reference):
            failures.append(f"{case.name}: {wrong}")
    return CheckRow(name, which, served, len(failures), refused, failures[0] if failures else "")
