from __future__ import annotations

import numpy as np
import pytest

from automl.core.errors import StrategyError
from automl.strategies.exact import Exact
from automl.strategies.relaxation import DescentSettings
from automl.strategies.relaxation import Relaxed
from automl.strategies.relaxation import descended
from automl.strategies.relaxation_math import relaxed_shares
from automl.strategies.relaxed_metrics import RelaxedMetrics
from automl.testing.problems import additive_problem


def settled(synthetic, limits, settings=None, scale=1.0):
    """Return the relaxation of the first metric under limits on the second, and its average values."""
    metrics = RelaxedMetrics(synthetic.problem)
    loss, cost = metrics.known
    caps = np.array(limits, dtype=np.float64)[:, None]
    start = Relaxed(np.zeros((len(caps), *metrics.offered.shape)), np.zeros(caps.shape), np.zeros(caps.shape))

    def scaled(shares, step):
        value, slopes = loss.average(shares)
        return scale * value, scale * slopes

    found = descended(start, scaled, [cost], caps, metrics.offered, settings or DescentSettings())
    shares = relaxed_shares(found.logits, metrics.offered, 1.0)
    return found, loss.average(shares)[0], cost.average(shares)[0]


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_budget_is_met_and_used_whatever_the_unit_of_the_loss(pairs, scale):
    synthetic = additive_problem(30, 4, seed=3, pairs=pairs)
    limit = synthetic.problem.budgets[0].limit
    found, _, cost = settled(synthetic, [limit], scale=scale)
    assert found.excess[0, 0] < 0.01
    assert cost[0] > 0.95 * limit


def test_the_average_loss_is_near_the_optimum_of_whole_decisions():
    synthetic = additive_problem(30, 4, seed=3)
    optimum = synthetic.measure(Exact(synthetic.problem).ask(1))[0]["kl"].value
    _, loss, _ = settled(synthetic, [synthetic.problem.budgets[0].limit])
    assert loss[0] < 1.1 * optimum


def test_an_idle_budget_does_not_pull():
    synthetic = additive_problem(12, 3, seed=1)
    found, loss, _ = settled(synthetic, [1e9, np.inf])
    assert (found.multipliers == 0).all()
    least, most = RelaxedMetrics(synthetic.problem).known[0].bounds(np.ones((12, 3), dtype=bool))
    assert (loss - least < 0.01 * (most - least)).all()


def test_relaxations_do_not_touch_each_other():
    synthetic = additive_problem(12, 3, seed=1)
    limit = synthetic.problem.budgets[0].limit
    together = settled(synthetic, [limit, 0.8 * limit])[2]
    alone = settled(synthetic, [limit])[2]
    assert together[0] == pytest.approx(alone[0], rel=0.02)
    assert together[1] < 0.85 * limit


def test_a_penalty_of_fixed_weight_misses_what_the_multiplier_meets():
    synthetic = additive_problem(30, 4, seed=3)
    limit = synthetic.problem.budgets[0].limit
    fixed = DescentSettings(stiffness=1.0, growth=1.0, every=10_000)
    moving = DescentSettings(stiffness=1.0, growth=1.0)
    misses = [abs(settled(synthetic, [limit], s)[0].excess[0, 0]) for s in (fixed, moving)]
    assert misses[1] < 0.5 * misses[0]


def test_noise_comes_from_the_generator_that_is_given():
    synthetic = additive_problem(6, 3)
    metrics = RelaxedMetrics(synthetic.problem)
    loss, _ = metrics.known
    start = Relaxed(np.zeros((1, 6, 3)), np.zeros((1, 0)), np.zeros((1, 0)))

    def run(seed):
        rng = None if seed is None else np.random.default_rng(seed)
        return descended(
            start,
            lambda s, step: loss.average(s),
            [],
            np.zeros((1, 0)),
            metrics.offered,
            DescentSettings(steps=20),
            rng,
        ).logits

    assert np.array_equal(run(1), run(1))
    assert not np.array_equal(run(1), run(2))
    assert not np.array_equal(run(1), run(None))


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"rate": 0.0}, {"stiffness": 0.0}, {"growth": 0.5}, {"temperatures": (1.0, 0.0)}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(StrategyError):
        DescentSettings(**wrong)
