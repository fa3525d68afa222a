"""Predict, then be told: whether a learned prediction beats the plain one, and whether its intervals hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from scipy.stats import rankdata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["TWO_SIDED_95", "CalibrationRecord", "rank_correlation"]

_WINDOW = 64
_FEWEST = 8
#: A normal variable is within this many standard deviations of its mean in 95 % of cases.
TWO_SIDED_95 = 1.959964


def rank_correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Return Spearman's rank correlation of ``a`` and ``b``, both (n,); None where one is constant."""
    ranks = np.stack([rankdata(a), rankdata(b)]) if len(a) else np.zeros((2, 0))
    if ranks.shape[1] < 2 or (ranks.std(axis=1) == 0).any():
        return None
    return float(np.corrcoef(ranks)[0, 1])


@dataclass(frozen=True, eq=False)
class CalibrationRecord:
    """The last predictions of one metric, each made before the trial was told.

    Args:
        metric: what was predicted.
        baseline: what the learned prediction is held against, in words.
        rows: (truth, learned prediction, lower and upper end of its 95 % interval, plain prediction) a row,
            (n, 5), oldest first; at most 64.
        predicted: predictions made so far, forgotten ones included.
    """

    metric: str
    baseline: str
    rows: NDArray[np.float64]
    predicted: int = 0

    @classmethod
    def empty(cls, metric: str, baseline: str) -> CalibrationRecord:
        """Return a record without predictions."""
        return cls(metric, baseline, np.empty((0, 5)))

    def told(
        self,
        truth: NDArray[np.float64],
        learned: NDArray[np.float64],
        low: NDArray[np.float64],
        high: NDArray[np.float64],
        plain: NDArray[np.float64],
    ) -> CalibrationRecord:
        """Return the record with predictions and what was then measured of them, all (n,)."""
        rows = np.concatenate([self.rows, np.stack([truth, learned, low, high, plain], axis=1)])
        return CalibrationRecord(self.metric, self.baseline, rows[-_WINDOW:], self.predicted + len(truth))

    @property
    def judged(self) -> bool:
        """Whether enough predictions were told to say how good they are."""
        return len(self.rows) >= _FEWEST

    @property
    def errors(self) -> tuple[float, float]:
        """Mean absolute error of the learned and of the plain prediction; needs at least one row."""
        truth, learned, _, _, plain = self.rows.T
        return float(np.abs(learned - truth).mean()), float(np.abs(plain - truth).mean())

    @property
    def holds(self) -> bool:
        """Whether the learned prediction has earned its use: its errors are smaller by more than chance.

        The mean of the differences of absolute errors must exceed its standard error.
        """
        if not self.judged:
            return False
        truth, learned, _, _, plain = self.rows.T
        gain = np.abs(plain - truth) - np.abs(learned - truth)
        return bool(gain.mean() > gain.std() / np.sqrt(len(gain)))

    @property
    def reason(self) -> str:
        """Why the learned prediction is used or not."""
        if not self.judged:
            return f"{len(self.rows)} of the {_FEWEST} predictions that it is judged by were told"
        learned, plain = self.errors
        relation = "beats" if self.holds else "does not beat"
        return (
            f"error {learned:.4g} {relation} {plain:.4g} of {self.baseline} by more than chance on the last "
            f"{len(self.rows)} predictions"
        )

    @property
    def sentence(self) -> str:
        """Whether the learned prediction is in use, why, and how well it is calibrated, as one sentence."""
        state = "in use" if self.holds else "switched off"
        calibrated = ""
        if self.judged:
            found = self.report
            rank = found["rank_correlation"]
            ranks = "" if rank is None else f"; rank correlation {rank:.2f}"
            calibrated = f"{ranks}; its 95 % interval held {100 * found['coverage_95']:.0f} % of them"
        return f"learned prediction of {self.metric} {state}: {self.reason}{calibrated}"

    @property
    def report(self) -> dict[str, Any]:
        """What a report shows, as plain JSON; None for what is not known yet."""
        truth, learned, low, high, plain = self.rows.T
        known = len(self.rows) > 0
        inside = (low <= truth) & (truth <= high)
        return {
            "metric": self.metric,
            "in_use": self.holds,
            "reason": self.reason,
            "baseline": self.baseline,
            "predicted": self.predicted,
            "judged": len(self.rows),
            "error": self.errors[0] if known else None,
            "baseline_error": self.errors[1] if known else None,
            "rank_correlation": rank_correlation(truth, learned),
            "baseline_rank_correlation": rank_correlation(truth, plain),
            "coverage_95": float(inside.mean()) if known else None,
        }

    @property
    def state(self) -> dict[str, Any]:
        """What :meth:`from_state` takes back, as plain JSON."""
        return {"rows": self.rows.tolist(), "predicted": self.predicted}

    @classmethod
    def from_state(cls, metric: str, baseline: str, state: Mapping[str, Any]) -> CalibrationRecord:
        """Return the record that :attr:`state` holds."""
        rows = np.array(state["rows"], dtype=np.float64).reshape(-1, 5)
        return cls(metric, baseline, rows, int(state["predicted"]))
