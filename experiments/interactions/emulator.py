"""An answer for candidates that were not measured: a fit to the table, and its error on rows left out.

Both metrics are fitted as logarithms by a ridge regression on single decisions, decisions by float type and
pairs of neighbors, and extremely randomized trees on what is left. What even that does not explain is put
back: an unmeasured candidate gets the residual, on rows left out, of a measured one of similar predicted
value, chosen by the hash of its code, so that it is rugged as the truth is and answers the same every time.
None of the strategies uses trees or a ridge on pairs, so none of them meets its own model here.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from recorded_table import METRICS
from recorded_table import digits
from scipy.stats import kendalltau
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold

if TYPE_CHECKING:
    from recorded_table import Recorded

#: Added to a divergence before its logarithm is taken; below it errors in percent say nothing.
FLOOR = np.array([1e-5, 0.0])
FOLDS = 5
TREES = 40
WINDOW = 50
ALPHAS = np.logspace(-2, 3, 11)
FORMS = ("single decisions", "+ by float type", "+ neighboring pairs", "+ trees")


def to_log(points: np.ndarray) -> np.ndarray:
    """Return logarithms of values of both metrics."""
    return np.log(points + FLOOR)


def from_log(logs: np.ndarray) -> np.ndarray:
    """Return the inverse of :func:`to_log`, never negative."""
    return np.maximum(np.exp(logs) - FLOOR, 0.0)


class Features:
    """Columns of a regression.

    Args:
        cardinalities: options of every dimension.
        float_column: the dimension of the float type, None when there is none.
    """

    def __init__(self, cardinalities: np.ndarray, float_column: int | None) -> None:
        self._cardinalities = cardinalities
        self._float = float_column

    def columns(self, codes: np.ndarray, form: int) -> np.ndarray:
        """Return the design of the form with this place in :data:`FORMS`, (n, n_columns)."""
        taken = [codes[:, i] == o for i, c in enumerate(self._cardinalities.tolist()) for o in range(1, c)]
        single = np.stack(taken, axis=1).astype(np.float64)
        parts = [single]
        if form >= 1 and self._float is not None:
            parts.append(single * codes[:, [self._float]])
        if form >= 2:
            sites = [i for i in range(codes.shape[1]) if i != self._float]
            border = np.stack([codes[:, i] != codes[:, j] for i, j in pairwise(sites)], axis=1)
            parts.append(border.astype(np.float64))
            if self._float is not None:
                parts.append(border * codes[:, [self._float]])
        return np.concatenate(parts, axis=1)

    def for_trees(self, codes: np.ndarray, foreseen: np.ndarray) -> np.ndarray:
        """Return codes, the number of decisions moved, of borders, and what the ridge foresees."""
        moved, borders = (codes != 0).sum(axis=1), (np.diff(codes, axis=1) != 0).sum(axis=1)
        return np.column_stack([codes, moved, borders, foreseen])


class Fit:
    """One form fitted to rows.

    Args:
        features: columns.
        codes: (n, n_dimensions).
        logs: (n, n_metrics).
        form: place in :data:`FORMS`.
    """

    def __init__(self, features: Features, codes: np.ndarray, logs: np.ndarray, form: int) -> None:
        self._features, self._form = features, min(form, 2)
        design = features.columns(codes, self._form)
        self._ridges = [RidgeCV(ALPHAS).fit(design, column) for column in logs.T]
        self._trees: ExtraTreesRegressor | None = None
        if form == 3:
            base = self._ridge(codes)
            self._scale = logs.std(axis=0)
            columns = features.for_trees(codes, base)
            self._trees = _forest().fit(columns, (logs - base) / self._scale)

    def predict(self, codes: np.ndarray) -> np.ndarray:
        """Return predicted logarithms, (n, n_metrics)."""
        base = self._ridge(codes)
        if self._trees is None:
            return base
        return base + self._scale * self._trees.predict(self._features.for_trees(codes, base))

    def _ridge(self, codes: np.ndarray) -> np.ndarray:
        design = self._features.columns(codes, self._form)
        return np.stack([ridge.predict(design) for ridge in self._ridges], axis=1)


def _forest() -> ExtraTreesRegressor:
    return ExtraTreesRegressor(TREES, min_samples_leaf=2, max_features=0.5, random_state=0)


def left_out(features: Features, codes: np.ndarray, logs: np.ndarray, form: int) -> np.ndarray:
    """Return predictions of every row by a fit that did not see it."""
    found = np.empty_like(logs)
    for train, test in KFold(FOLDS, shuffle=True, random_state=0).split(codes):
        found[test] = Fit(features, codes[train], logs[train], form).predict(codes[test])
    return found


def errors(predicted: np.ndarray, truth: np.ndarray) -> dict[str, dict[str, float]]:
    """Return for each metric R2 of the logarithms, Kendall's tau, and the mean error in percent."""
    found = {}
    for k, metric in enumerate(METRICS):
        rest = ((predicted[:, k] - truth[:, k]) ** 2).sum() / ((truth[:, k] - truth[:, k].mean()) ** 2).sum()
        value, guess = from_log(truth)[:, k], from_log(predicted)[:, k]
        known = value > FLOOR[k]
        found[metric] = {
            "r2_log": round(1.0 - float(rest), 4),
            "kendall_tau": round(float(kendalltau(guess, value).statistic), 4),
            "mape_percent": round(100 * float(np.mean(np.abs(guess - value)[known] / value[known])), 2),
        }
    return found


class Emulator:
    """Answers for any code; measured ones get what was measured.

    Args:
        recorded: the table.
    """

    def __init__(self, recorded: Recorded) -> None:
        space = recorded.space
        floats = [i for i, d in enumerate(space.dimensions) if d.kind == "float"]
        features = Features(space.cardinalities, floats[0] if floats else None)
        codes, logs = recorded.codes, to_log(recorded.points)
        folds = [left_out(features, codes, logs, form) for form in range(len(FORMS))]
        self.errors = {form: errors(p, logs) for form, p in zip(FORMS, folds, strict=True)}
        self._best = [
            max(range(len(FORMS)), key=lambda f, m=m: self.errors[FORMS[f]][m]["r2_log"]) for m in METRICS
        ]
        self._fits = {form: Fit(features, codes, logs, form) for form in set(self._best)}
        self._known = {digits(code): point for code, point in zip(codes, recorded.points, strict=True)}
        held = np.stack([folds[form][:, k] for k, form in enumerate(self._best)], axis=1)
        order = np.argsort(held, axis=0)
        self._held = np.take_along_axis(held, order, axis=0)
        self._residuals = np.take_along_axis(logs - held, order, axis=0)

    @property
    def chosen(self) -> dict[str, str]:
        """The form in use for each metric: the one with the least error on rows left out."""
        return {m: FORMS[f] for m, f in zip(METRICS, self._best, strict=True)}

    def answer(self, codes: np.ndarray) -> np.ndarray:
        """Return values of :data:`METRICS`, (n, 2)."""
        made = {form: fit.predict(codes) for form, fit in self._fits.items()}
        logs = np.stack([made[form][:, k] for k, form in enumerate(self._best)], axis=1)
        found = np.empty_like(logs)
        for row, code in enumerate(codes):
            text = digits(code)
            known = self._known.get(text)
            found[row] = from_log(logs[row] + self._noise(text, logs[row])) if known is None else known
        return found

    def _noise(self, text: str, foreseen: np.ndarray) -> np.ndarray:
        """Return a residual of each metric, of one measured candidate near in predicted value."""
        out = []
        for k, value in enumerate(foreseen):
            place = int(np.searchsorted(self._held[:, k], value))
            low = int(np.clip(place - WINDOW, 0, max(len(self._held) - 2 * WINDOW, 0)))
            near = self._residuals[low : low + 2 * WINDOW, k]
            key = hashlib.sha256(f"{k} {text}".encode()).digest()
            out.append(near[int.from_bytes(key[:8], "big") % len(near)])
        return np.array(out)
