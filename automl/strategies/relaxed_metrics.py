"""Every compared metric as a smooth function of option shares: prices where known, and what trials add."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.strategies.additive_fit_math import fitted_effects
from automl.strategies.array_state import decode_array
from automl.strategies.array_state import encode_array
from automl.strategies.relaxation_math import Multilinear
from automl.strategies.relaxation_math import padded
from automl.strategies.surrogate_model import compared_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from automl.strategies.base import Problem

__all__ = ["RelaxedMetrics"]


class RelaxedMetrics:
    """The objectives and the other hard budgets' metrics, each additive in decisions and priced pairs.

    A metric is known where it is priced, or once enough trials measured it; on top of the prices come effects
    of single decisions that the trials show and the prices miss.

    Args:
        problem: gives metrics, prices and space.
        fewest: trials before effects are learned.
    """

    def __init__(self, problem: Problem, *, fewest: int = 8) -> None:
        space, tables = problem.space, problem.tables
        self._fewest = fewest
        self._width = int(space.cardinalities.max())
        #: Which options there are, (n_dimensions, width).
        self.offered = np.arange(self._width)[None, :] < space.cardinalities[:, None]
        #: The compared metrics; the first is what is minimized.
        self.metrics = compared_metrics(problem)
        self._priced: list[Multilinear | None] = []
        for metric in self.metrics:
            if tables is None or metric not in tables.unary:
                self._priced.append(None)
                continue
            unary = padded([np.asarray(row, dtype=np.float64) for row in tables.unary[metric]], self._width)
            pairs = dict(tables.pairwise.get(metric, {}))
            self._priced.append(Multilinear(unary, pairs, float(tables.constant.get(metric, 0.0))))
        self._effects: NDArray[np.float64] | None = None
        self._constants = np.zeros(len(self.metrics))
        #: What is known of each compared metric; None where nothing is.
        self.known = list(self._priced)

    @property
    def priced(self) -> bool:
        """Whether every compared metric is priced."""
        return all(metric is not None for metric in self._priced)

    @property
    def state(self) -> dict[str, Any]:
        """The learned effects as plain JSON."""
        effects = None if self._effects is None else encode_array(self._effects)
        return {"effects": effects, "constants": encode_array(self._constants)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Set the learned effects to a :attr:`state`."""
        self._effects = None if state["effects"] is None else decode_array(state["effects"])
        self._constants = decode_array(state["constants"])
        self._refresh()

    def learn(self, codes: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Take the effects from trials anew: codes (n, n_dimensions), values (n, n_metrics), minimized."""
        if len(codes) < self._fewest:
            return
        missed = values - np.stack([metric.at(codes) for metric in self._base], axis=1)
        self._effects, self._constants = fitted_effects(codes, missed, self._width)
        self._refresh()

    def _refresh(self) -> None:
        self.known = list(self._priced)
        if self._effects is not None:
            learned = zip(self._base, self._effects, self._constants, strict=True)
            self.known = [metric.plus(effect, float(constant)) for metric, effect, constant in learned]

    @property
    def _base(self) -> list[Multilinear]:
        zero = Multilinear(np.zeros(self.offered.shape))
        return [zero if metric is None else metric for metric in self._priced]
