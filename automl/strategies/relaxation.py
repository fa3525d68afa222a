"""Descend on relaxed decisions until the loss is low and the budgets are met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl.core.errors import StrategyError
from automl.strategies.adam import Adam
from automl.strategies.relaxation_math import budget_pull
from automl.strategies.relaxation_math import gumbel_noise
from automl.strategies.relaxation_math import logit_slopes
from automl.strategies.relaxation_math import relaxed_shares

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.strategies.relaxation_math import Multilinear

    Floats = NDArray[np.float64]
    #: (shares (k, n_dimensions, width), step) -> (losses (k,), their derivative by the shares).
    Loss = Callable[[Floats, int], tuple[Floats, Floats]]

__all__ = ["DescentSettings", "Relaxed", "descended"]

#: The stiffness grows to at most this many times its start.
_STIFFEST = 1e6


@dataclass(frozen=True)
class DescentSettings:
    """How relaxed decisions are trained.

    Args:
        steps: of Adam.
        rate: its step on the logits.
        stiffness: of the budget term at the start, in units of what the median decision pays for its price.
        growth: factor of the stiffness when an excess has not halved.
        every: steps between two updates of the multipliers.
        temperatures: of the softmax at the first and the last step.

    Raises:
        StrategyError: a number is out of range.
    """

    steps: int = 240
    rate: float = 0.1
    stiffness: float = 4.0
    growth: float = 2.0
    every: int = 8
    temperatures: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        if min(self.steps, self.every) < 1 or min(self.rate, self.stiffness, *self.temperatures) <= 0:
            raise StrategyError(
                "steps and every must be at least 1, rate, stiffness and temperatures above 0; got "
                f"{self.steps}, {self.every}, {self.rate}, {self.stiffness}, {self.temperatures}"
            )
        if self.growth < 1:
            raise StrategyError(f"growth={self.growth} would soften the budget term; give 1 or more")


@dataclass(frozen=True, eq=False)
class Relaxed:
    """Relaxed decisions and the state of their budget terms.

    Args:
        logits: (k, n_dimensions, width).
        multipliers: (k, n_costs), in units of the loss.
        excess: of the average costs over the caps, as shares of each cost's range, (k, n_costs).
    """

    logits: Floats
    multipliers: Floats
    excess: Floats


def descended(
    start: Relaxed,
    loss: Loss,
    costs: Sequence[Multilinear],
    caps: Floats,
    offered: NDArray[np.bool_],
    settings: DescentSettings,
    rng: np.random.Generator | None = None,
) -> Relaxed:
    """Return the relaxed decisions after training ``k`` of them at once, each under its own caps.

    Args:
        start: where to begin.
        loss: what to minimize.
        costs: metrics with caps.
        caps: (k, n_costs), infinite for no cap.
        offered: which options there are, (n_dimensions, width).
        settings: see :class:`DescentSettings`.
        rng: draws Gumbel noise, for a loss that is not the average over drawn decisions; None for none.
    """
    bounds = [cost.bounds(offered) for cost in costs]
    spans = np.array([high - low if high > low else 1.0 for low, high in bounds])
    capped = np.isfinite(caps)
    logits = {"logits": start.logits.astype(np.float32)}
    adam = Adam(logits, settings.rate)
    multipliers, unit = start.multipliers.copy(), 0.0
    stiffness, before = np.full(caps.shape, 0.0), np.full(caps.shape, np.inf)
    for step in range(settings.steps):
        along = step / max(settings.steps - 1, 1)
        temperature = float(settings.temperatures[0] ** (1 - along) * settings.temperatures[1] ** along)
        current = logits["logits"].astype(np.float64)
        noise = np.zeros(current.shape) if rng is None else gumbel_noise(rng.random(current.shape))
        shares = relaxed_shares(current + noise, offered, temperature)
        _, slopes = loss(shares, step)
        excess, pulls = _excess(costs, relaxed_shares(current, offered, 1.0), caps, spans)
        if unit == 0.0:
            unit = _exchange(slopes, pulls, offered)
            stiffness = np.full(caps.shape, settings.stiffness * unit)
        gradient = logit_slopes(shares, slopes, temperature)
        weights = np.where(capped, budget_pull(excess, multipliers, stiffness), 0.0)
        plain = relaxed_shares(current, offered, 1.0)
        for column, slope in enumerate(pulls):
            gradient += weights[:, column, None, None] * logit_slopes(plain, slope)
        adam.descend({"logits": (gradient / unit).astype(np.float32)})
        if (step + 1) % settings.every == 0:
            multipliers = weights
            open_ = np.abs(np.maximum(excess, -multipliers / np.maximum(stiffness, 1e-300)))
            stiffer = (open_ > 0.5 * before) & (stiffness < _STIFFEST * settings.stiffness * unit)
            stiffness = np.where(stiffer, stiffness * settings.growth, stiffness)
            before = open_
    final = logits["logits"].astype(np.float64)
    excess, _ = _excess(costs, relaxed_shares(final, offered, 1.0), caps, spans)
    return Relaxed(final, multipliers, excess)


def _excess(
    costs: Sequence[Multilinear], shares: Floats, caps: Floats, spans: Floats
) -> tuple[Floats, list[Floats]]:
    """Return by which share of its range each cost exceeds its cap, and the derivative by the shares."""
    excess, pulls = np.zeros(caps.shape), []
    for column, (cost, span) in enumerate(zip(costs, spans, strict=True)):
        values, slopes = cost.average(shares)
        limited = np.where(np.isfinite(caps[:, column]), caps[:, column], np.inf)
        excess[:, column] = np.where(np.isfinite(limited), (values - limited) / span, -1.0)
        pulls.append(slopes / span)
    return excess, pulls


def _exchange(slopes: Floats, pulls: Sequence[Floats], offered: NDArray[np.bool_]) -> float:
    """Return how much loss the median decision pays for its cost: the natural unit of the budget term."""

    def reach(table: Floats) -> Floats:
        low = np.where(offered, table, np.inf).min(axis=-1)
        return np.asarray((np.where(offered, table, -np.inf).max(axis=-1) - low).ravel())

    loss = reach(slopes)
    if not pulls:
        positive = loss[loss > 0]
        return float(np.median(positive)) if positive.size else 1.0
    ratios = [loss / np.maximum(reach(pull), 1e-300) for pull in pulls]
    both = [r[(loss > 0) & (reach(p) > 1e-12)] for r, p in zip(ratios, pulls, strict=True)]
    found = np.concatenate(both)
    return float(np.median(found)) if found.size else 1.0
