"""The arithmetic of NSGA-III: extreme points, intercepts, association with directions, and filling niches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["associate", "extreme_points", "nadir_point", "niche_order"]

# what other coordinates weigh when the extreme point of one axis is sought
_OFF_AXIS = 1e6
# a coordinate below this share of the range counts as zero: the point lies on the axis
_ON_AXIS = 1e-3
# an intercept below this share of the range is no intercept
_FLAT = 1e-6


def _positive(span: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(span > 0, span, 1.0)


def extreme_points(
    points: NDArray[np.float64], ideal: NDArray[np.float64], known: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return for each objective the point that lies nearest to its axis, seen from ``ideal``.

    The point of axis j minimizes ``max_k w_k (f_k - ideal_k)`` with w = 1 on the axis and 1e6 elsewhere.

    Args:
        points: (n, n_objectives), minimized; the first front, at least one row.
        ideal: (n_objectives,), the best seen of each objective.
        known: (n_known, n_objectives), earlier extreme points, which stay when nothing is nearer.

    Returns:
        Points, shape (n_objectives, n_objectives), row j for axis j; rows may repeat.

    Reference:
        As the NSGA-III of pymoo; here coordinates are divided by the range of ``points`` first, so that the
        units of the objectives do not matter.
    """
    rows = np.concatenate([known.reshape(-1, points.shape[1]), points])
    scaled = (rows - ideal) / _positive(points.max(axis=0) - ideal)
    scaled = np.where(scaled < _ON_AXIS, 0.0, scaled)
    weights = np.where(np.eye(points.shape[1], dtype=bool), 1.0, _OFF_AXIS)
    achievement = (scaled[:, None, :] * weights[None]).max(axis=2)
    nearest: NDArray[np.float64] = rows[achievement.argmin(axis=0)]
    return nearest


def nadir_point(
    extremes: NDArray[np.float64],
    ideal: NDArray[np.float64],
    front_worst: NDArray[np.float64],
    worst: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return where the plane through the extreme points meets the axes, shape (n_objectives,).

    Falls back to the worst of the first front when the plane is degenerate or meets an axis on the wrong side
    or at less than a millionth of the range; an intercept beyond the worst value ever seen is clipped to it;
    where the result still is the ideal the worst value ever seen stands in.

    Args:
        extremes: (n_objectives, n_objectives), see :func:`extreme_points`.
        ideal: (n_objectives,).
        front_worst: (n_objectives,), the largest of each objective on the first front.
        worst: (n_objectives,), the largest ever seen of each objective.
    """
    scale = _positive(worst - ideal)
    edges = (extremes - ideal) / scale
    nadir = front_worst
    try:
        plane = np.linalg.solve(edges, np.ones(len(edges)))
    except np.linalg.LinAlgError:
        plane = np.zeros(len(edges))
    # a plane that meets the axis at a huge distance or on the wrong side has a tiny or negative coefficient
    if np.allclose(edges @ plane, 1.0) and (plane > 0).all() and (plane * _FLAT < 1.0).all():
        nadir = np.minimum(ideal + scale / plane, worst)
    flat = nadir - ideal <= _FLAT * scale
    return np.where(flat, worst, nadir)


def associate(
    normalized: NDArray[np.float64], directions: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the nearest direction of each point and the perpendicular distance to it.

    Args:
        normalized: (n, n_objectives), the ideal at 0 and the nadir at 1.
        directions: (n_directions, n_objectives), not zero.

    Returns:
        Indices of directions and distances, both (n,); the first of equally near directions.
    """
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    along = normalized @ unit.T
    squared = (normalized**2).sum(axis=1, keepdims=True) - along**2
    distance = np.sqrt(np.maximum(squared, 0.0))
    nearest: NDArray[np.int64] = distance.argmin(axis=1)
    return nearest, distance[np.arange(len(normalized)), nearest]


def niche_order(
    niches: NDArray[np.int64],
    distances: NDArray[np.float64],
    counts: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Return the members of one front in the order in which niches take them.

    Again and again the niche with the fewest members, of equals a random one, takes a member: the nearest
    when it has none yet, else a random one.

    Args:
        niches: (n,), the direction of each member.
        distances: (n,), perpendicular distance to it.
        counts: (n_directions,), members of better fronts in each niche.
        rng: source of chance.

    Returns:
        Rows, shape (n,).
    """
    n = len(niches)
    nearest_first = np.lexsort((distances, niches))
    heads = np.ones(n, dtype=bool)
    heads[1:] = np.diff(niches[nearest_first]) != 0
    turn = rng.random(n)
    turn[nearest_first[heads & (counts[niches[nearest_first]] == 0)]] = -1.0
    queue = np.lexsort((turn, niches))
    starts = np.flatnonzero(np.concatenate([[True], np.diff(niches[queue]) != 0])) if n else queue
    lengths = np.diff(np.append(starts, n))
    place = np.empty(n, dtype=np.int64)
    place[queue] = np.arange(n) - np.repeat(starts, lengths)
    # the k-th member of a queue is taken when its niche holds counts + k; the fewest come first
    order: NDArray[np.int64] = np.lexsort((rng.random(n), counts[niches] + place))
    return order
