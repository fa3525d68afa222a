from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from automl.core.dominance import nondominated_mask
from automl.core.errors import StrategyError
from automl.strategies.frontier_math import frontier


def all_codes(sizes):
    return np.indices(sizes).reshape(len(sizes), -1).T


def totals(prices, codes):
    return sum(np.asarray(p)[codes[:, i]] for i, p in enumerate(prices))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 4), min_size=1, max_size=6), st.booleans())
def test_frontier_is_the_brute_force_front(seed, sizes, ties):
    rng = np.random.default_rng(seed)
    draw = (lambda n: rng.integers(0, 4, n).astype(float)) if ties else (lambda n: rng.normal(size=n))
    values, costs = [draw(n) for n in sizes], [draw(n) for n in sizes]
    front = frontier(values, costs)
    codes = all_codes(sizes)
    points = np.stack([totals(costs, codes), totals(values, codes)], axis=1)
    expected = np.unique(points[nondominated_mask(np.round(points, 9))].round(9), axis=0)
    got = np.stack([front.costs, front.values], axis=1).round(9)
    assert np.allclose(np.unique(got, axis=0), expected, atol=1e-8)
    assert len(got) == len(expected)
    chosen = front.codes()
    assert np.allclose(totals(values, chosen), front.values)
    assert np.allclose(totals(costs, chosen), front.costs)
    assert front.exact


def test_points_come_cheapest_first_and_strictly_better():
    rng = np.random.default_rng(1)
    front = frontier([rng.random(3) for _ in range(12)], [rng.random(3) for _ in range(12)])
    assert (np.diff(front.costs) > 0).all()
    assert (np.diff(front.values) < 0).all()


def test_best_within_is_the_last_point_that_fits():
    front = frontier(
        [np.array([0.0, 5.0]), np.array([0.0, 2.0])], [np.array([4.0, 1.0]), np.array([3.0, 1.0])]
    )
    assert front.costs.tolist() == [2.0, 4.0, 5.0, 7.0]
    assert front.values[front.best_within(4.5)] == 5.0
    assert front.best_within(7.0) == 3
    assert front.best_within(1.9) is None


def test_bins_keep_exact_sums_and_both_ends():
    rng = np.random.default_rng(2)
    values, costs = [rng.random(3) for _ in range(30)], [rng.random(3) for _ in range(30)]
    full, coarse = frontier(values, costs), frontier(values, costs, max_bins=64)
    assert not coarse.exact
    assert len(coarse) <= 64
    codes = coarse.codes()
    assert np.allclose(totals(values, codes), coarse.values)
    assert np.allclose(totals(costs, codes), coarse.costs)
    assert coarse.costs[0] == pytest.approx(full.costs[0])
    assert coarse.values[-1] == pytest.approx(full.values[-1])
    at = full.best_within(float(np.median(full.costs)))
    got = coarse.best_within(float(np.median(full.costs)))
    assert coarse.values[got] <= full.values[at] + 0.02 * np.ptp(full.values)


def test_codes_of_some_points():
    front = frontier([np.array([0.0, 1.0])] * 4, [np.array([1.0, 0.0])] * 4)
    assert np.array_equal(front.codes(np.array([0, 4])), [[1, 1, 1, 1], [0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("values", "costs", "bins"),
    [
        ([np.ones(2)], [np.ones(3)], None),
        ([np.ones(0)], [np.ones(0)], None),
        ([np.array([np.nan])], [np.ones(1)], None),
        ([np.ones(1)], [np.array([np.inf])], None),
        ([np.ones(2)], [np.ones(2)], 1),
    ],
)
def test_bad_prices_are_refused(values, costs, bins):
    with pytest.raises(StrategyError):
        frontier(values, costs, max_bins=bins)
