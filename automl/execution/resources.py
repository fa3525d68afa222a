"""What one worker needs of its node: processors, graphics processors, memory and resources by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING

from automl.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["WorkerResources", "parse_resources"]

_BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_PATTERN = re.compile(r"([A-Za-z_][\w.-]*)\s*=\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_GIVE = "give NAME=AMOUNT pairs, such as CPU=2,memory=4GB or fast=1"


@dataclass(frozen=True)
class WorkerResources:
    """What a worker reserves; on one machine only the memory counts.

    Args:
        cpus: processors, and threads of its numerical libraries.
        gpus: graphics processors.
        memory_bytes: memory it may take: reserved on a cluster, and the cap of its process; None for neither.
        named: resources that nodes were started with, by name.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory_bytes: int | None = None
    named: Mapping[str, float] = field(default_factory=dict)


def parse_resources(text: str | None) -> WorkerResources:
    """Return what ``CPU=2,GPU=0.5,memory=4GB,fast=1`` asks for.

    Raises:
        ConfigError: a part cannot be read, is repeated or is not positive.
    """
    found: dict[str, float] = {}
    for part in filter(None, (p.strip() for p in (text or "").split(","))):
        match = _PATTERN.fullmatch(part)
        if match is None:
            raise ConfigError(f"cannot read the resource '{part}' of a worker: {_GIVE}")
        name = {"cpu": "CPU", "gpu": "GPU"}.get(match[1].lower(), match[1])
        unit = match[3]
        if unit not in (_BYTES if name == "memory" else {"": 1}):
            raise ConfigError(f"the resource '{part}' of a worker has an unknown unit '{unit}': {_GIVE}")
        amount = float(match[2]) * (_BYTES[unit] if name == "memory" else 1)
        if name in found or (amount == 0 and name != "CPU"):
            what = "is given twice" if name in found else "is zero"
            raise ConfigError(f"the resource '{name}' of a worker {what}: {_GIVE}")
        found[name] = amount
    memory = found.pop("memory", None)
    cpus, gpus = found.pop("CPU", 1.0), found.pop("GPU", 0.0)
    return WorkerResources(cpus, gpus, None if memory is None else int(memory), found)
