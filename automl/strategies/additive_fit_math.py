"""Effects of single decisions learned from trials: ridge regression on which option each decision took."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["fitted_effects", "leave_one_out"]

#: Ridge weights that are tried, as fractions of the largest eigenvalue.
_RIDGES = tuple(10.0**e for e in range(-10, 1))


def leave_one_out(values: Floats, vectors: Floats, targets: Floats, ridge: float) -> NDArray[np.float64]:
    """Return the error of each row when it is left out of a ridge regression without it; shape of targets.

    Args:
        values: eigenvalues of the rows' kernel, (n,), not negative.
        vectors: its eigenvectors, (n, n).
        targets: (n, n_targets), each of mean zero.
        ridge: above 0.
    """
    kept = values / (values + ridge)
    # the mean is fitted too, and costs every row 1 / n
    lever = (vectors**2) @ kept + 1.0 / len(values)
    residual = targets - vectors @ (kept[:, None] * (vectors.T @ targets))
    return np.asarray(residual / np.maximum(1.0 - lever, 1e-9)[:, None])


def fitted_effects(codes: NDArray[np.int64], targets: Floats, width: int) -> tuple[Floats, Floats]:
    """Return what each option adds to each target, and the constants.

    The weight of the ridge is the one with the smallest leave-one-out error, for each target by itself. An
    option that no row took has the effect zero, as has a decision that every row took alike.

    Args:
        codes: (n, n_dimensions), at least two rows.
        targets: (n, n_targets).
        width: columns of the answer, the largest number of options.

    Returns:
        Effects (n_targets, n_dimensions, width) and constants (n_targets,): the prediction of a code is the
        constant plus the effects of its options.
    """
    n, n_dimensions = codes.shape
    taken = np.zeros((n, n_dimensions * width))
    taken[np.arange(n)[:, None], np.arange(n_dimensions)[None, :] * width + codes] = 1.0
    centre, mean = taken.mean(axis=0), targets.mean(axis=0)
    rows = taken - centre
    values, vectors = np.linalg.eigh(rows @ rows.T)
    values = np.maximum(values, 0.0)
    largest = float(values[-1])
    effects = np.zeros((targets.shape[1], n_dimensions * width))
    if largest > 0:
        for column in range(targets.shape[1]):
            target = (targets[:, column] - mean[column])[:, None]
            errors = [
                float((leave_one_out(values, vectors, target, r * largest) ** 2).sum()) for r in _RIDGES
            ]
            ridge = _RIDGES[int(np.argmin(errors))] * largest
            dual = vectors @ ((vectors.T @ target[:, 0]) / (values + ridge))
            effects[column] = rows.T @ dual
    constants = mean - effects @ centre
    return effects.reshape(-1, n_dimensions, width), constants
