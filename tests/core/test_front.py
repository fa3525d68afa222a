from __future__ import annotations

import itertools

import numpy as np
import pytest

from automl.core.budget import Budget
from automl.core.errors import BudgetError
from automl.core.front import ParetoArchive
from automl.core.front import front_best_nearest
from automl.core.front import knee
from automl.core.front import latest_complete
from automl.core.front import nearest
from automl.core.front import pareto_front
from automl.core.front import pick_best
from automl.core.front import reachable_range
from automl.core.objective import Objective
from automl.core.trial import Fidelity
from tests.core.trials import complete
from tests.core.trials import failed
from tests.core.trials import running

AXES = (Objective("accuracy"), Objective("latency_ms"))
TRIALS = [
    complete(0, accuracy=0.90, latency_ms=10.0),
    complete(1, accuracy=0.80, latency_ms=4.0),
    complete(2, accuracy=0.85, latency_ms=6.0),
    complete(3, accuracy=0.80, latency_ms=5.0),
    complete(4, accuracy=0.80, latency_ms=4.0),
    failed(5),
    running(6),
]
LIMIT = Budget("latency=7ms", "latency_ms", 7.0)


def numbers(trials):
    return [t.number for t in trials]


def test_front_is_best_quality_first_and_repeats_no_point():
    assert numbers(pareto_front(TRIALS, AXES)) == [0, 2, 1]


def test_hard_budgets_exclude_and_soft_ones_do_not():
    soft = Budget("soft:latency=7ms", "latency_ms", 7.0, hard=False)
    assert numbers(pareto_front(TRIALS, AXES, [LIMIT])) == [2, 1]
    assert numbers(pareto_front(TRIALS, AXES, [soft])) == [0, 2, 1]


def test_nothing_feasible_gives_an_empty_front():
    assert pareto_front(TRIALS, AXES, [Budget("latency=1ms", "latency_ms", 1.0)]) == ()
    assert pareto_front([], AXES) == ()


def test_order_of_the_trials_does_not_matter():
    for order in itertools.islice(itertools.permutations(TRIALS), 0, 5040, 97):
        assert numbers(pareto_front(order, AXES, [LIMIT])) == [2, 1]
        assert pick_best(order, AXES[0], [LIMIT]).number == 2
        archive = ParetoArchive(AXES, [LIMIT])
        for trial in order:
            archive.add([trial])
        assert numbers(archive.front) == [2, 1]


def test_higher_fidelity_and_later_measurements_of_a_candidate_count():
    trials = [
        complete(1, key="x", fidelity=Fidelity.CONFIRMED, accuracy=0.7, latency_ms=5.0),
        complete(2, key="x", fidelity=Fidelity.SUBSET, accuracy=0.9, latency_ms=1.0),
        complete(3, key="y", fidelity=Fidelity.FULL, accuracy=0.6, latency_ms=4.0),
        complete(4, key="y", fidelity=Fidelity.FULL, accuracy=0.5, latency_ms=4.5),
    ]
    assert numbers(latest_complete(trials)) == [1, 4]
    assert numbers(latest_complete(trials, Fidelity.CONFIRMED)) == [1]
    assert numbers(pareto_front(trials, AXES)) == [1, 4]
    assert numbers(pareto_front(trials, AXES, fidelity=Fidelity.CONFIRMED)) == [1]


def test_archive_lets_a_better_fidelity_push_a_trial_out():
    archive = ParetoArchive(AXES)
    archive.add([complete(1, key="x", fidelity=Fidelity.SUBSET, accuracy=0.9, latency_ms=1.0)])
    archive.add([complete(2, key="y", accuracy=0.8, latency_ms=2.0)])
    assert numbers(archive.front) == [1]
    archive.add([complete(3, key="x", accuracy=0.7, latency_ms=3.0)])
    assert numbers(archive.front) == [2]


def test_archive_knows_the_nearest():
    archive = ParetoArchive(AXES, [Budget("latency=1ms", "latency_ms", 1.0)])
    assert archive.nearest is None
    archive.add(TRIALS)
    assert archive.front == ()
    assert archive.nearest.number == 1


def test_nearest_has_the_least_total_violation():
    budgets = [
        Budget("latency=2ms", "latency_ms", 2.0),
        Budget("accuracy>=0.95", "accuracy", 0.95, at_least=True),
    ]
    trials = [complete(1, accuracy=0.1, latency_ms=2.0), complete(2, accuracy=0.9, latency_ms=2.2)]
    assert nearest(trials, budgets).number == 2
    assert nearest([failed(1)], budgets) is None


def test_nearest_breaks_ties_by_the_objectives_then_the_number():
    budget = [Budget("latency=2ms", "latency_ms", 2.0)]
    trials = [complete(n, accuracy=a, latency_ms=4.0) for n, a in ((1, 0.5), (2, 0.7), (3, 0.7))]
    assert nearest(trials, budget, AXES).number == 2
    assert nearest(trials, budget).number == 1


def test_pick_is_the_best_feasible_quality_with_ties_by_latency():
    assert pick_best(TRIALS, AXES[0]).number == 0
    assert pick_best(TRIALS, AXES[0], [LIMIT]).number == 2
    tied = TRIALS[1:4:2][::-1]
    assert pick_best(tied, AXES[0], ties=[AXES[1]]).number == 1
    assert pick_best(TRIALS, AXES[0], [Budget("latency=1ms", "latency_ms", 1.0)]) is None


def test_pick_prefers_soft_budgets_among_equal_quality():
    soft = Budget("soft:latency=4ms", "latency_ms", 4.5, hard=False)
    tied = [complete(1, accuracy=0.8, latency_ms=5.0), complete(2, accuracy=0.8, latency_ms=4.0)]
    assert pick_best(tied, AXES[0]).number == 1
    assert pick_best(tied, AXES[0], [soft]).number == 2


def test_knee_is_nearest_to_the_ideal_after_scaling():
    front = [
        complete(0, accuracy=0.90, latency_ms=100.0),
        complete(1, accuracy=0.89, latency_ms=20.0),
        complete(2, accuracy=0.50, latency_ms=10.0),
    ]
    assert knee(front, AXES).number == 1
    assert knee(front[:1], AXES).number == 0
    assert knee([], AXES) is None


def test_reachable_range_is_of_what_was_measured():
    assert reachable_range(TRIALS, "latency_ms") == (4.0, 10.0)
    assert reachable_range(TRIALS, "macs") is None


def test_unresolved_budget_is_refused():
    with pytest.raises(BudgetError, match="resolve"):
        pareto_front(TRIALS, AXES, [Budget("latency=0.6x", "latency_ms", 0.6, relative=True)])


def test_no_front_member_is_dominated_by_any_trial():
    rng = np.random.default_rng(0)
    trials = [complete(i, accuracy=a, latency_ms=b) for i, (a, b) in enumerate(rng.random((150, 2)))]
    front = pareto_front(trials, AXES)
    for member in front:
        assert not any(
            t.value("accuracy") >= member.value("accuracy")
            and t.value("latency_ms") < member.value("latency_ms")
            for t in trials
        )
    assert np.all(np.diff([t.value("accuracy") for t in front]) < 0)


@pytest.mark.parametrize("limit", [LIMIT, Budget("latency=1ms", "latency_ms", 1.0)])
def test_one_look_finds_what_the_three_functions_find(limit):
    rng = np.random.default_rng(1)
    trials = [
        complete(i, key=int(rng.integers(60)), fidelity=fidelity, accuracy=a, latency_ms=10 * b)
        for i, (a, b) in enumerate(rng.random((150, 2)).round(1))
        for fidelity in [(Fidelity.SUBSET, Fidelity.FULL)[int(rng.integers(2))]]
    ]
    soft = Budget("accuracy=0.9", "accuracy", 0.9, hard=False)
    for fidelity in (Fidelity.SUBSET, Fidelity.FULL):
        whole = latest_complete([*trials, failed(150)], fidelity)
        front, best, closest = front_best_nearest(
            [*trials, failed(150)], AXES, (limit, soft), fidelity=fidelity
        )
        assert front == pareto_front(whole, AXES, (limit, soft))
        assert best == pick_best(whole, AXES[0], (limit, soft), ties=AXES[1:])
        assert closest == nearest(whole, (limit, soft), AXES)
    assert front_best_nearest([failed(0)], AXES, ()) == ((), None, None)
