"""The device a roofline is for: one of the table, or this machine, measured once and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.core.errors import TargetError
from automl.evaluators.cache import ContentCache
from automl.targets.cpu_device import device_from_json
from automl.targets.cpu_device import device_key
from automl.targets.cpu_device import device_to_json
from automl.targets.cpu_device import measure_cpu
from automl.targets.devices import find_device

if TYPE_CHECKING:
    from pathlib import Path

    from automl.targets.devices import Device

__all__ = ["CPU", "device_named", "this_cpu"]

#: What the command line calls this machine.
CPU = "cpu"


def this_cpu(cache: Path, threads: int | None) -> Device:
    """Return this machine's processor, from the cache when it was measured with so many threads before."""
    tables, key = ContentCache(cache), device_key(threads)
    stored = tables.get(key)
    if isinstance(stored, dict):
        try:
            return device_from_json(stored)
        except TargetError:
            pass  # A stored figure that makes no sense is measured again.
    device = measure_cpu(threads)
    tables.put(key, device_to_json(device))
    return device


def device_named(name: str, cache: Path, threads: int | None) -> Device:
    """Return the device called ``name``; ``cpu`` is this machine.

    Raises:
        TargetError: there is no such device.
    """
    return this_cpu(cache, threads) if name == CPU else find_device(name)
