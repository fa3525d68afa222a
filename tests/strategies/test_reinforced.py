from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from automl.core.errors import StrategyError
from automl.core.indicators import hypervolume
from automl.strategies.evolutionary import Evolutionary
from automl.strategies.evolutionary import EvolutionSettings
from automl.strategies.reinforced import Reinforced
from automl.strategies.reinforced import ReinforcedSettings
from automl.testing.linkage import linkage_problem
from automl.testing.problems import additive_problem
from automl.testing.problems import conditional_problem
from automl.testing.problems import zdt1_problem
from automl.testing.strategy_suite import StrategySuite
from automl.testing.strategy_suite import run_strategy

SMALL = EvolutionSettings(population=16)


class TestReinforced(StrategySuite):
    def make(self, problem):
        return Reinforced(problem, settings=ReinforcedSettings(evolution=SMALL))


class TestScreenedReinforced(StrategySuite):
    """The same contract where a prediction screens children, the policy's too."""

    def make(self, problem):
        tables = problem.tables

        def predict(codes):
            return np.stack([tables.predict(o.metric, codes) for o in problem.objectives], axis=1)

        return Reinforced(replace(problem, predict=predict), settings=ReinforcedSettings(evolution=SMALL))


@pytest.mark.parametrize("make", [additive_problem, conditional_problem, zdt1_problem])
def test_random_mutation_alone_is_plain_evolution_bit_for_bit(make):
    synthetic = make(12, seed=3) if make is additive_problem else make(seed=3)
    settings = ReinforcedSettings(mix=(1.0, 0.0, 0.0), evolution=SMALL)
    plain = Evolutionary(synthetic.problem, settings=SMALL)
    reinforced = Reinforced(synthetic.problem, settings=settings)
    assert run_strategy(reinforced, synthetic, 300) == run_strategy(plain, synthetic, 300)
    assert reinforced.state_dict()["evolution"] == plain.state_dict()


def test_the_other_mutations_change_what_is_proposed():
    synthetic = additive_problem(12, seed=3)
    runs = [
        run_strategy(
            Reinforced(synthetic.problem, settings=ReinforcedSettings(mix=mix, evolution=SMALL)),
            synthetic,
            100,
        )
        for mix in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    ]
    assert runs[0][:16] == runs[1][:16] == runs[2][:16]
    assert len({tuple(run) for run in runs}) == 3


def test_the_roulettes_share_is_random_without_prices():
    problem = additive_problem(6).problem
    assert Reinforced(problem).mix == (0.2, 0.65, 0.15)
    plain, policy, prior = Reinforced(replace(problem, tables=None)).mix
    assert (plain, policy, prior) == (pytest.approx(0.35), 0.65, 0.0)


def test_the_policy_learns_from_the_random_start():
    synthetic = additive_problem(9, seed=1)
    strategy = Reinforced(synthetic.problem, settings=ReinforcedSettings(evolution=SMALL))
    strategy.tell(synthetic.trials(strategy.ask(16), 1))
    assert len(strategy.state_dict()["gradient"]["curve"]["rows"]) == 2


def test_entropy_falls_and_quality_rises():
    synthetic = additive_problem(20, 3, seed=4)
    strategy = Reinforced(synthetic.problem)
    run_strategy(strategy, synthetic, 1000)
    curve = np.array(strategy.state_dict()["gradient"]["curve"]["rows"])
    assert curve[-10:, 1].mean() < 0.8 * curve[0, 1]
    assert curve[-10:, 2].mean() > curve[:10, 2].mean() + 0.5


def test_gains_are_measured_against_the_front_before_the_batch():
    synthetic = linkage_problem(4, 3, seed=0)
    strategy = Reinforced(synthetic.problem)
    space = synthetic.problem.space
    codes = space.sample(np.random.default_rng(0), 6)
    strategy.tell(synthetic.trials([space.decode(c) for c in codes]))
    state = strategy.state_dict()
    points = synthetic.truth(codes)
    reference = points.max(axis=0)
    assert state["reference"] == reference.tolist()
    alone = [hypervolume(p[None], reference) for p in points]
    shares = [values[1] for values in state["outcomes"].values()]
    np.testing.assert_allclose(sorted(shares), sorted(np.array(alone) / max(alone)), atol=1e-12)


def test_linked_genes_are_found_sooner_than_by_plain_mutation():
    volumes = {Evolutionary: 0.0, Reinforced: 0.0}
    for seed in range(3):
        for cls in volumes:
            synthetic = linkage_problem(seed=seed)
            proposed = run_strategy(cls(synthetic.problem), synthetic, 1200)
            points = synthetic.truth(synthetic.problem.space.encode(proposed))
            volumes[cls] += hypervolume(points, np.array([6.0, 6.0]))
    assert volumes[Reinforced] > volumes[Evolutionary]


@pytest.mark.parametrize(
    "wrong",
    [
        {"mix": (0.5, 0.5, 0.5)},
        {"mix": (-0.5, 1.0, 0.5)},
        {"volume": 1.5},
        {"whole": -0.1},
        {"largest": 0.0},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(StrategyError):
        ReinforcedSettings(**wrong)
