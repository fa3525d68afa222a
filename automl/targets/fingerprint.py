"""What identifies the machine and the runtime settings that a measurement was taken with."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["available_cores", "cpu_facts", "machine_fingerprint", "saturates"]

#: Processor features that decide which kernels a runtime picks.
_FLAGS = (
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "asimddp",
    "i8mm",
    "bf16",
    "sve",
)


def available_cores() -> int:
    """Return how many cores this process may use, hyper-threads not counted."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed))


def cpu_facts() -> dict[str, Any]:
    """Return model name and the flags that matter, as far as the system tells."""
    model, flags = platform.processor() or platform.machine(), set[str]()
    source = Path("/proc/cpuinfo")
    if source.is_file():
        for line in source.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                model = value.strip()
            elif key.strip().lower() in ("flags", "features"):
                flags = set(value.split())
                break
    return {"cpu": model, "flags": [f for f in _FLAGS if f in flags]}


def saturates(flags: Sequence[str], isa: str | None) -> bool:
    """Return whether int8 kernels of x86 processors add pairs of products in 16 bits and overflow.

    Those without VNNI do: two products of an unsigned and a signed 8-bit number need 17 bits.

    Args:
        flags: the processor's features, as in :func:`cpu_facts`.
        isa: instruction-set cap, None for none.
    """
    if isa is not None:
        return isa in {"avx2", "avx512_core"}
    return "avx2" in flags and not {"avx_vnni", "avx512_vnni"} & set(flags)


def machine_fingerprint(*, runtime: str, threads: int, isa: str | None) -> dict[str, Any]:
    """Return the machine and settings as plain JSON values.

    Args:
        runtime: name and version.
        threads: inference threads.
        isa: instruction-set cap, None for none.
    """
    return {
        **cpu_facts(),
        "cores": available_cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "runtime": runtime,
        "threads": threads,
        "isa": isa or "native",
    }
