"""The table of devices that a roofline can price: peaks of dense matrix products and bandwidth, with sources.

Peaks are dense; vendors print the double for 2:4 sparsity. Sources: ``h100`` NVIDIA H100 Tensor Core GPU data
sheet, SXM column; ``a100`` NVIDIA A100 Tensor Core GPU data sheet, 40 GB (the 80 GB card moves 2039 GB/s);
``l40s`` and ``l40`` NVIDIA L40S and L40 data sheets; ``a6000`` NVIDIA RTX A6000 data sheet and the GA102
whitepaper; ``a40`` NVIDIA A40 data sheet; ``mi300x`` AMD Instinct MI300X accelerator data sheet. Data sheets
do not tell what starting a kernel costs (microseconds each), so the bound leaves it out. The processor of
this machine is measured instead, see :mod:`automl.targets.cpu_device`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from automl.core.errors import TargetError
from automl.core.errors import unknown_name

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEVICES", "Device", "device_reported_as", "find_device"]

TERA, GIGA = 1e12, 1e9


@dataclass(frozen=True)
class Device:
    """What bounds the time of an operator.

    Args:
        name: what the command line takes.
        title: what people call it.
        peaks: matrix operations a second by type: ``f32``, ``bf16``, ``int8``, ``fp8``.
        vector_ops_s: f32 operations a second outside matrix units.
        bandwidth: bytes a second between memory and processor.
        launch_s: seconds an operator costs at least.
        fused_attention: whether scores of attention stay on the chip.
        measured: whether the figures were measured on this machine.

    Raises:
        TargetError: a figure is not positive and finite, or there is no ``f32`` peak.
    """

    name: str
    title: str
    peaks: Mapping[str, float]
    vector_ops_s: float
    bandwidth: float
    launch_s: float = 0.0
    fused_attention: bool = True
    measured: bool = False

    def __post_init__(self) -> None:
        if "f32" not in self.peaks:
            raise TargetError(f"device '{self.name}' has no f32 peak; state what it reaches in f32")
        for what, value in {
            **self.peaks,
            "vector_ops_s": self.vector_ops_s,
            "bandwidth": self.bandwidth,
        }.items():
            if not (math.isfinite(value) and value > 0):
                raise TargetError(
                    f"device '{self.name}' states {what}={value}; it must be positive and finite: "
                    "measure it again"
                )

    def peak(self, kind: str) -> float:
        """Return the matrix operations a second of a type; f32's where the type has no units of its own."""
        return self.peaks.get(kind, self.peaks["f32"])


def _gpu(name: str, title: str, gb_s: float, vector: float, **tera: float) -> Device:
    peaks = {kind: value * TERA for kind, value in tera.items()}
    return Device(name, title, peaks, vector * TERA, gb_s * GIGA)


DEVICES: dict[str, Device] = {
    d.name: d
    for d in (
        _gpu("h100", "NVIDIA H100 SXM", 3350, 66.9, f32=66.9, bf16=989.4, fp8=1978.9, int8=1978.9),
        _gpu("a100", "NVIDIA A100 40 GB", 1555, 19.5, f32=19.5, bf16=312.0, int8=624.0),
        _gpu("l40s", "NVIDIA L40S", 864, 91.6, f32=91.6, bf16=362.05, fp8=733.0, int8=733.0),
        _gpu("l40", "NVIDIA L40", 864, 90.5, f32=90.5, bf16=181.05, fp8=362.0, int8=362.0),
        _gpu("a6000", "NVIDIA RTX A6000", 768, 38.7, f32=38.7, bf16=154.8, int8=309.7),
        _gpu("a40", "NVIDIA A40", 696, 37.4, f32=37.4, bf16=149.7, int8=299.3),
        _gpu("mi300x", "AMD Instinct MI300X", 5300, 163.4, f32=163.4, bf16=1307.4, fp8=2614.9, int8=2614.9),
    )
}


def find_device(name: str) -> Device:
    """Return the device called ``name``.

    Raises:
        TargetError: the table has no such device.
    """
    if name not in DEVICES:
        raise TargetError(unknown_name("device", name, DEVICES))
    return DEVICES[name]


#: How torch names the devices of the table; cards of another memory or power have another roofline.
_REPORTED = {
    "NVIDIA H100 80GB HBM3": "h100",
    "NVIDIA A100-SXM4-40GB": "a100",
    "NVIDIA A100-PCIE-40GB": "a100",
    "NVIDIA L40S": "l40s",
    "NVIDIA L40": "l40",
    "NVIDIA RTX A6000": "a6000",
    "NVIDIA A40": "a40",
    "AMD Instinct MI300X": "mi300x",
}


def device_reported_as(name: str) -> Device | None:
    """Return the device that torch calls ``name``, None when the table does not have that very card."""
    found = _REPORTED.get(name)
    return None if found is None else DEVICES[found]
