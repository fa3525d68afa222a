"""Named child generators: every random decision of a run comes from the run's seed and a name."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["child_rng", "child_seed"]


def child_seed(seed: int, *names: str | int) -> int:
    """Return the 63-bit seed of the child called ``names``; equal on every platform and Python version."""
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def child_rng(seed: int, *names: str | int) -> np.random.Generator:
    """Return an independent generator for the child called ``names`` of ``seed``."""
    return np.random.Generator(np.random.PCG64(child_seed(seed, *names)))
