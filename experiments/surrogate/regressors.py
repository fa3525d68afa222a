"""Which regressor predicts the next candidates of a run best: held-out error at several numbers of trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import BayesianRidge

from automl.strategies.surrogate_math import best_shape
from automl.strategies.surrogate_math import line
from automl.strategies.surrogate_math import regress
from automl.strategies.surrogate_model import priced_relevance
from automl.strategies.table import strategy_class

if TYPE_CHECKING:
    from planted import Planted

COUNTS = (32, 64, 128, 256)
HELD_OUT = 64
SEEDS = 3


def process(codes, values, new, base, new_base, starts):
    """Return mean and deviation of our regression, with or without the plain prediction as a trend."""
    columns, ahead = [np.ones(len(codes))], [np.ones(len(new))]
    if base is not None:
        center, scale = base.mean(), base.std()
        columns.append((base - center) / scale)
        ahead.append((new_base - center) / scale)
    design, new_design = np.stack(columns, axis=1), np.stack(ahead, axis=1)
    steps = 0 if len(starts) > 1 and len(codes) < 48 else 2
    shape = best_shape(codes, values, design, starts, steps=steps)
    return regress(codes, values, design, shape).predict(new, new_design)


def predictions(codes, values, new, base, new_base, relevance):
    """Return name -> (mean, deviation or None) of every regressor."""
    even = np.full(codes.shape[1], 1.0 / codes.shape[1])
    intercept, slope, _ = line(base, values)
    ridge = BayesianRidge().fit(codes, values)
    ridge_rest = BayesianRidge().fit(codes, values - base)
    trees = ExtraTreesRegressor(100, random_state=0).fit(codes, values - base)
    of_trees = np.stack([tree.predict(new) for tree in trees.estimators_])
    mean, deviation = ridge_rest.predict(new, return_std=True)
    return {
        "line on the prices": (intercept + slope * new_base, None),
        "Bayesian ridge": ridge.predict(new, return_std=True),
        "prices + Bayesian ridge": (new_base + mean, deviation),
        "prices + 100 extra trees": (new_base + of_trees.mean(axis=0), of_trees.std(axis=0)),
        "ours without prices": process(codes, values, new, None, None, [even]),
        "ours with prices": process(codes, values, new, base, new_base, [even, relevance]),
    }


def compare_regressors(planted: Planted) -> list[dict]:
    """Return one row a (count, regressor): error relative to the truth's spread, coverage of 95 % intervals.

    Trained on the first ``count`` candidates of ``evolutionary`` and tested on the next 64, so that the test
    lies where a search goes, not where it was; medians of three seeds.
    """
    found: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for seed in range(SEEDS):
        synthetic, priced = planted.problem(seed, priced=False), planted.problem(seed, priced=True).problem
        strategy, proposed = strategy_class("evolutionary")(synthetic.problem), []
        while len(proposed) < max(COUNTS) + HELD_OUT:
            candidates = strategy.ask(8)
            strategy.tell(synthetic.trials(candidates, 1 + len(proposed)))
            proposed += candidates
        codes = synthetic.problem.space.encode(proposed)
        truth, base = synthetic.truth(codes)[:, 0], priced.predict(codes)[:, 0]
        relevance = priced_relevance(priced)[0]
        for count in COUNTS:
            known, new = slice(0, count), slice(count, count + HELD_OUT)
            made = predictions(codes[known], truth[known], codes[new], base[known], base[new], relevance)
            for name, (mean, deviation) in made.items():
                error = np.sqrt(np.mean((mean - truth[new]) ** 2)) / truth[new].std()
                inside = (
                    np.nan if deviation is None else np.mean(np.abs(mean - truth[new]) <= 1.96 * deviation)
                )
                found.setdefault((count, name), []).append((float(error), float(inside)))
    return [
        {
            "trials": count,
            "regressor": name,
            "error": round(float(np.median([r[0] for r in rows])), 3),
            "coverage_95": None if np.isnan(rows[0][1]) else round(float(np.median([r[1] for r in rows])), 2),
        }
        for (count, name), rows in sorted(found.items())
    ]
