from __future__ import annotations

from dataclasses import replace

from automl.core.budget import parse_budget
from automl.core.candidate import Candidate
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.objective import Objective
from automl.core.trial import Fidelity
from automl.core.trial import Trial
from automl.core.trial import TrialState
from automl.stages.finalists import choose_finalists

OBJECTIVES = (Objective("accuracy"), Objective("latency_ms"))
BUDGET = [parse_budget("latency=6.5ms")]


def trial(number, accuracy, latency):
    metrics = {"accuracy": Metric(accuracy), "latency_ms": Metric(latency, "ms")}
    return Trial(number, Candidate.of({"d": number}), TrialState.COMPLETE, measurement=Measurement(metrics))


def numbers(candidates):
    return [c["d"] for c in candidates]


TRIALS = [
    trial(0, 0.90, 10.0),
    trial(1, 0.89, 6.0),
    trial(2, 0.80, 4.0),
    trial(3, 0.85, 7.0),
    trial(4, 0.5, 3.0),
]


def test_feasible_front_members_come_first_best_quality_first():
    chosen = numbers(choose_finalists(TRIALS, OBJECTIVES, [parse_budget("latency=6.5ms")], 3))
    assert chosen == [1, 2, 4]


def test_nothing_feasible_gives_the_nearest_first():
    chosen = numbers(choose_finalists(TRIALS, OBJECTIVES, [parse_budget("latency=1ms")], 2))
    assert chosen == [4, 2]


def test_skipped_candidates_are_not_chosen_again():
    skip = frozenset({TRIALS[1].candidate.digest})
    chosen = numbers(choose_finalists(TRIALS, OBJECTIVES, [parse_budget("latency=6.5ms")], 3, skip))
    assert 1 not in chosen


def test_failed_trials_are_never_finalists():
    failed = Trial(9, Candidate.of({"d": 9}), TrialState.FAILED, failure="boom")
    assert choose_finalists([failed], OBJECTIVES, [], 3) == []


def test_the_best_feasible_anchor_takes_part_though_the_front_beats_it():
    anchors = frozenset({TRIALS[3].candidate.digest, TRIALS[0].candidate.digest})
    chosen = numbers(choose_finalists(TRIALS, OBJECTIVES, [parse_budget("latency=8ms")], 3, anchors=anchors))
    assert chosen == [1, 3, 4]


def test_anchors_out_of_budget_do_not_take_part():
    anchors = frozenset({TRIALS[3].candidate.digest})
    chosen = numbers(choose_finalists(TRIALS, OBJECTIVES, BUDGET, 3, anchors=anchors))
    assert chosen == [1, 2, 4]


def test_an_anchor_on_the_front_is_chosen_once():
    anchors = frozenset({TRIALS[1].candidate.digest})
    chosen = numbers(choose_finalists(TRIALS, OBJECTIVES, BUDGET, 3, anchors=anchors))
    assert chosen.count(1) == 1


def test_what_only_a_subset_said_is_no_finalist_and_the_whole_set_overrules_it():
    lucky = replace(trial(1, 0.95, 3.0), fidelity=Fidelity.SUBSET)
    other = replace(trial(5, 0.99, 2.0), fidelity=Fidelity.SUBSET)
    chosen = numbers(choose_finalists([lucky, other, *TRIALS], OBJECTIVES, BUDGET, 3))
    assert chosen == [1, 2, 4]
