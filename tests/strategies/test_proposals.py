from __future__ import annotations

from dataclasses import replace

import numpy as np

from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.trial import Trial
from automl.core.trial import TrialState
from automl.strategies.proposals import Proposals
from automl.testing.problems import additive_problem


def test_what_was_proposed_or_told_is_not_proposed_again():
    synthetic = additive_problem(2, 2)
    space = synthetic.problem.space
    proposals = Proposals(synthetic.problem)
    foreign = space.decode(np.array([1, 1]))
    proposals.read(synthetic.failed([foreign]))
    drawn = proposals.random(np.random.default_rng(0), 10)
    # four assignments: the untouched model and the failed one are known
    assert sorted(drawn.tolist()) == [[0, 1], [1, 0]]
    assert proposals.random(np.random.default_rng(0), 10).shape == (0, 2)
    assert proposals.fresh(space.encode([foreign, space.default]), 5).shape == (0, 2)


def test_seeds_come_once_and_in_their_order():
    synthetic = additive_problem(4)
    space = synthetic.problem.space
    seeds = (space.uniform("level", 2), space.default, space.uniform("level", 1))
    proposals = Proposals(replace(synthetic.problem, seeds=seeds))
    assert proposals.seeds(1).tolist() == [[2, 2, 2, 2]]
    assert proposals.seeds(5).tolist() == [[1, 1, 1, 1]]
    assert proposals.seeds(5).shape == (0, 4)


def test_fresh_returns_at_most_the_count_and_remembers_only_that():
    proposals = Proposals(additive_problem(3).problem)
    codes = np.array([[1, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0]])
    assert proposals.fresh(codes, 2).tolist() == [[1, 0, 0], [2, 0, 0]]
    assert proposals.fresh(codes, 5).tolist() == [[0, 1, 0]]
    assert proposals.fresh(codes, 0).shape == (0, 3)


def test_trials_become_arrays_and_uninformative_ones_are_skipped():
    synthetic = additive_problem(4)
    proposals = Proposals(synthetic.problem)
    codes = proposals.random(np.random.default_rng(1), 3)
    candidates = proposals.candidates(codes)
    whole = synthetic.trials(candidates)
    partial = Trial(9, candidates[1], TrialState.COMPLETE, measurement=Measurement({"kl": Metric(0.5)}))
    told = proposals.read([whole[0], partial, *synthetic.failed(candidates[1:2]), whole[2]])
    assert [proposals.informs(t) for t in (whole[0], partial)] == [True, False]
    assert np.array_equal(told.codes, codes[[0, 2]])
    assert np.allclose(told.points, synthetic.truth(codes[[0, 2]]))
    limit = synthetic.problem.budgets[0].limit
    assert np.allclose(told.violations, np.maximum(told.points[:, 1] - limit, 0.0) / limit)
    empty = proposals.read([])
    assert (empty.codes.shape, empty.points.shape, len(empty)) == ((0, 4), (0, 2), 0)


def test_restored_proposals_know_the_same():
    synthetic = additive_problem(4)
    first, second = Proposals(synthetic.problem), Proposals(synthetic.problem)
    first.random(np.random.default_rng(0), 20)
    second.restore(first.keys)
    assert second.keys == first.keys
    left = [p.random(np.random.default_rng(3), 10).tolist() for p in (first, second)]
    assert left[0] == left[1]


def test_a_generation_is_seeds_then_the_start_population_then_children():
    synthetic = additive_problem(6, seed=1)
    seed = synthetic.problem.space.uniform("level", 1)
    proposals = Proposals(replace(synthetic.problem, seeds=(seed,)))
    bred = []

    def breed(wanted):
        bred.append(wanted)
        return proposals.fresh(np.array([[2, 2, 2, 2, 2, 2]]), wanted)

    rng = np.random.default_rng(0)
    codes = proposals.generation(rng, 8, start=3, breed=breed)
    assert codes[0].tolist() == [1] * 6
    assert bred == [5]
    assert codes[3].tolist() == [2] * 6
    assert len(np.unique(codes, axis=0)) == 8
    # nobody can be parent yet, or the start population has room for all: no children
    proposals.generation(rng, 4, start=0, breed=None)
    proposals.generation(rng, 4, start=4, breed=breed)
    assert bred == [5]
