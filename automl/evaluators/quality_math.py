"""Per-sample comparisons of outputs and intervals of their means: pure functions on arrays."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from automl.core.rng import child_rng

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "bootstrap_interval",
    "cosine_rows",
    "kl_rows",
    "log_softmax",
    "mean_interval",
    "nll_rows",
    "paired_difference_interval",
    "wilson_interval",
]

_Z = 1.959963984540054
_RESAMPLES = 1000


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a proportion.

    Reference: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    p = successes / n
    center = p + _Z**2 / (2 * n)
    half = _Z * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
    scale = 1 + _Z**2 / n
    return max(0.0, min(p, (center - half) / scale)), min(1.0, max(p, (center + half) / scale))


def paired_difference_interval(worse: int, better: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of (worse - better) / n, a difference of paired proportions.

    Reference: Bonett and Price, "Adjusted Wald confidence interval for a difference of binomial proportions
        based on paired data", 2012: one is added to both discordant counts.

    Args:
        worse: samples that only the reference gets right.
        better: samples that only the candidate gets right.
        n: all samples.
    """
    first, second = (worse + 1) / (n + 2), (better + 1) / (n + 2)
    center = first - second
    half = _Z * math.sqrt(max(0.0, first + second - center**2) / (n + 2))
    value = (worse - better) / n
    return max(-1.0, min(value, center - half)), min(1.0, max(value, center + half))


def mean_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % normal interval of the mean of (n,) values; the mean itself for one value."""
    mean = float(values.mean())
    if len(values) < 2:
        return mean, mean
    half = _Z * float(values.std(ddof=1)) / math.sqrt(len(values))
    return mean - half, mean + half


def bootstrap_interval(totals: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of sum(totals) / sum(weights), resampling rows together.

    Args:
        totals: (n,) sums per window.
        weights: (n,) counts per window.
    """
    n = len(totals)
    rng = child_rng(0, "quality", "bootstrap", n)
    counts = rng.multinomial(n, np.full(n, 1.0 / n), size=_RESAMPLES).astype(np.float64)
    ratios = (counts @ totals) / (counts @ weights)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)


def log_softmax(logits: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return log probabilities along the last axis, in the type of ``logits``."""
    shifted: NDArray[np.floating] = logits - logits.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted


def kl_rows(log_p: NDArray[np.floating], log_q: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return KL(p || q) along the last axis in nats, at least 0; shape without the last axis."""
    divergence = (np.exp(log_p) * (log_p - log_q)).sum(axis=-1, dtype=np.float64)
    clipped: NDArray[np.float64] = np.maximum(divergence, 0.0)
    return clipped


def nll_rows(log_q: NDArray[np.floating], targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the negative log probabilities of ``targets``, shape of ``targets``."""
    picked = np.take_along_axis(log_q, targets[..., None], axis=-1)[..., 0]
    surprise: NDArray[np.float64] = -picked.astype(np.float64)
    return surprise


def cosine_rows(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return cosines of the flattened rows of two equal shapes, (n,); two zero rows have cosine 1."""
    left = a.reshape(len(a), -1).astype(np.float64)
    right = b.reshape(len(b), -1).astype(np.float64)
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    both_zero = ~left.any(axis=1) & ~right.any(axis=1)
    cosine = (left * right).sum(axis=1) / np.where(norms > 0, norms, 1.0)
    return np.where(both_zero, 1.0, np.clip(cosine, -1.0, 1.0))
