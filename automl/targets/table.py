"""The table of targets: name -> class and options; only a requested one is imported."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING

from automl.core.errors import MissingExtraError
from automl.core.errors import TargetError
from automl.core.errors import unknown_name

if TYPE_CHECKING:
    from automl.targets.base import Target
    from automl.targets.runtime_target import RuntimeTarget

__all__ = ["TARGETS", "TargetReport", "TargetRow", "doctor", "make_target", "parse_target"]


@dataclass(frozen=True)
class TargetRow:
    """One target.

    Args:
        path: ``module:class``.
        summary: one line for listings.
        package: what must be installed.
        options: names allowed after the colon.
    """

    path: str
    summary: str
    package: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class TargetReport:
    """What :func:`doctor` found.

    Args:
        name: the target.
        available: whether it serves models on this machine.
        reason: runtime and version, or why it is not available.
        device: the processor, empty when not available.
        float_types: best first, empty when not available.
    """

    name: str
    available: bool
    reason: str
    device: str = ""
    float_types: tuple[str, ...] = ()


TARGETS: dict[str, TargetRow] = {
    "openvino": TargetRow(
        "automl.targets.openvino_target:OpenVinoTarget",
        "OpenVINO on CPUs; isa=... caps the instruction set",
        "openvino",
        ("isa",),
    ),
    "onnxruntime": TargetRow(
        "automl.targets.onnxruntime_target:OnnxRuntimeTarget",
        "ONNX Runtime on CPUs",
        "onnxruntime",
    ),
    "torch": TargetRow(
        "automl.targets.torch_cpu:TorchTarget",
        "torch on CPUs with the package's own kernels",
        "torch",
    ),
    "triton": TargetRow(
        "automl.targets.triton_gpu:TritonTarget",
        "GPUs with the package's Triton kernels; TRITON_INTERPRET=1 runs them on the CPU for correctness",
        "triton",
    ),
}


def parse_target(spec: str) -> tuple[str, dict[str, str]]:
    """Return name and options of ``name`` or ``name:option=value,...``.

    Raises:
        TargetError: the name or an option is unknown, or an option has no value.
    """
    name, colon, rest = spec.strip().partition(":")
    if name not in TARGETS:
        raise TargetError(unknown_name("target", name, TARGETS))
    options: dict[str, str] = {}
    for part in rest.split(",") if colon else ():
        key, _, value = part.strip().partition("=")
        if not TARGETS[name].options:
            raise TargetError(f"target '{name}' takes no options, got '{part}'; write '{name}'")
        if key not in TARGETS[name].options:
            raise TargetError(unknown_name(f"option of target '{name}'", key, TARGETS[name].options))
        if not value.strip():
            raise TargetError(f"option '{key}' of target '{name}' has no value; write '{name}:{key}=VALUE'")
        options[key] = value.strip()
    return name, options


def make_target(spec: str, *, threads: int | None = None, batch: int = 1, own_core: bool = False) -> Target:
    """Return the target that ``spec`` names, for example ``openvino`` or ``openvino:isa=avx512_core``.

    Args:
        spec: name and options.
        threads: inference threads, every core when None.
        batch: samples of one timed run.
        own_core: keep its process to a core that no other such process has; for one thread, beside others.

    Raises:
        TargetError: the target, an option or its value is unknown, or its device is not here.
        ConfigError: threads or batch are not positive.
        MissingExtraError: the runtime is not installed.
    """
    name, options = parse_target(spec)
    if importlib.util.find_spec(TARGETS[name].package) is None:
        package = TARGETS[name].package
        raise MissingExtraError(f"target '{name}' needs the package {package}; run: pip install {package}")
    module, _, attribute = TARGETS[name].path.partition(":")
    made: RuntimeTarget = getattr(importlib.import_module(module), attribute)(
        **options, threads=threads, batch=batch, own_core=own_core
    )
    return made


def doctor() -> list[TargetReport]:
    """Try every target on this machine."""
    reports = []
    for name, row in TARGETS.items():
        if importlib.util.find_spec(row.package) is None:
            reports.append(TargetReport(name, False, f"not installed; pip install {row.package}"))
            continue
        try:
            target = make_target(name)
        except TargetError as error:
            reports.append(TargetReport(name, False, str(error)))
            continue
        try:
            info = target.info()
        except TargetError as error:
            reports.append(TargetReport(name, False, str(error)))
        else:
            reports.append(TargetReport(name, True, info.runtime, info.device, info.float_types))
        finally:
            target.close()
    return reports
