"""Front quality by moocore: the one place of ``core`` that leaves numpy; these are not ours to write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import moocore
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["hypervolume", "igd_plus"]


def hypervolume(points: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Return the volume dominated by ``points`` and bounded by ``reference``.

    Args:
        points: (n, n_objectives), minimized; rows not below the reference contribute nothing.
        reference: (n_objectives,).
    """
    if len(points) == 0:
        return 0.0
    return float(
        moocore.hypervolume(np.asarray(points, dtype=np.float64), ref=np.asarray(reference, dtype=np.float64))
    )


def igd_plus(points: NDArray[np.float64], reference_front: NDArray[np.float64]) -> float:
    """Return IGD+ of ``points`` to ``reference_front``, both (n, n_objectives) and minimized."""
    return float(
        moocore.igd_plus(
            np.asarray(points, dtype=np.float64), ref=np.asarray(reference_front, dtype=np.float64)
        )
    )
