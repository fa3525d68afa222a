"""The bench of the kernels on the device of this machine, with what identifies a measured row."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from automl.core.errors import ConfigError
from automl.core.errors import KernelError
from automl.core.errors import MissingExtraError
from automl.core.errors import unknown_name
from automl.kernels.cuda_device import CudaDevice
from automl.kernels.cuda_device import device_facts
from automl.stages.code_version import code_version
from automl.stages.kernel_bench import bench_kernels
from automl.targets.devices import device_reported_as
from automl.targets.triton_device import interpreted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from automl.stages.kernel_bench import KernelRow

__all__ = ["commit_of", "measure_on_device", "wanted_device"]

_DEVICES = ("auto", "cpu", "cuda")


def wanted_device(name: str) -> str:
    """Return ``cpu`` or ``cuda`` for ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ConfigError: another name.
        KernelError: there is no GPU, or Triton's kernels would run in the interpreter.
        MissingExtraError: Triton is not installed.
    """
    if name not in _DEVICES:
        raise ConfigError(unknown_name("device", name, _DEVICES))
    here = torch.cuda.is_available()
    if name == "cpu" or (name == "auto" and not here):
        return "cpu"
    if not here:
        raise KernelError(
            "--device cuda needs a CUDA or ROCm device and this machine has none; use --device cpu, or see "
            "what the kernels compile to with: automl kernels compile"
        )
    if importlib.util.find_spec("triton") is None:
        raise MissingExtraError("the kernels of a GPU need the package triton; run: pip install triton")
    if interpreted():
        raise KernelError(
            "TRITON_INTERPRET=1 runs the kernels in Triton's interpreter, whose times mean nothing; unset "
            "it, or use --device cpu"
        )
    return "cuda"


def measure_on_device(kernels: Sequence[str], *, rounds: int) -> tuple[list[KernelRow], dict[str, object]]:
    """Return the rows of the bench, and the device, driver, versions and commit that they belong to.

    Raises:
        KernelError: a kernel has no contest.
    """
    facts = device_facts()
    roofline = device_reported_as(str(facts["device"]))
    with torch.inference_mode():
        rows = list(bench_kernels(CudaDevice(), roofline, place="cuda", rounds=rounds, kernels=kernels))
    known = f"{roofline.title} (data sheet)" if roofline is not None else "not known for this device"
    versions = {name: importlib.metadata.version(name) for name in ("torch", "triton")}
    return rows, {
        **facts,
        **versions,
        "code": code_version(),
        "commit": commit_of(Path(__file__).parents[2]),
        "roofline": known,
    }


def commit_of(folder: Path) -> str:
    """Return the commit that a checkout stands at, ``+`` behind it when files were changed; "" elsewhere."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ("git", "-C", str(folder), *arguments), capture_output=True, text=True, check=True, timeout=30
        )
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != folder.resolve():
            return ""
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return ""
