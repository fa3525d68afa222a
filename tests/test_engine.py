from __future__ import annotations

from functools import partial

import pytest

from automl.core.budget import parse_budgets
from automl.core.errors import BudgetError
from automl.core.errors import ConfigError
from automl.core.errors import EvaluationError
from automl.core.errors import LedgerError
from automl.core.errors import StrategyError
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.objective import Objective
from automl.core.outcome import EventKind
from automl.core.outcome import StopReason
from automl.core.outcome import StopRule
from automl.core.trial import Fidelity
from automl.core.trial import TrialState
from automl.engine import reference_point
from automl.execution.base import Lane
from automl.execution.local_executor import LocalExecutor
from automl.execution.simulated import SimulatedExecutor
from automl.execution.trial_runner import Stage
from automl.ledger import Ledger
from automl.testing.simulated_target import OBJECTIVES
from tests.engine_runs import TARGET
from tests.engine_runs import Memory
from tests.engine_runs import Scripted
from tests.engine_runs import candidates
from tests.engine_runs import evolutionary
from tests.engine_runs import identities
from tests.engine_runs import search


def test_search_finds_a_feasible_front_and_records_everything():
    outcome = search()
    assert outcome.stopped_by is StopReason.TRIALS
    assert [t.number for t in outcome.trials] == list(range(60))
    assert outcome.trials[0].origin == "baseline"
    assert outcome.trials[0].candidate == TARGET.space.default
    limit = 0.8 * outcome.trials[0].value("latency_ms")
    assert outcome.budgets[0].limit == limit
    assert outcome.front
    assert all(t.value("latency_ms") <= limit for t in outcome.front)
    assert outcome.best == outcome.front[0]
    assert any(t.state is TrialState.FAILED for t in outcome.trials)


def test_more_trials_come_nearer_to_the_known_front():
    few, many = search(stop=StopRule(trials=20), budgets=()), search(stop=StopRule(trials=300), budgets=())
    assert few.hypervolumes[-1][1] < many.hypervolumes[-1][1]
    history = [volume for _, volume in many.hypervolumes]
    assert history == sorted(history)


@pytest.mark.parametrize("workers", [1, 3, 16])
def test_same_seed_gives_the_same_trials_for_any_number_of_workers(workers):
    executor = SimulatedExecutor(workers, lambda payload: 1.0 + len(str(payload)) % 7)
    outcome = search(executor=executor, clock=executor.now)
    assert identities(outcome.trials) == identities(search().trials)


def test_another_seed_gives_other_trials():
    other = search(make_strategy=partial(evolutionary, seed=6))
    assert identities(other.trials) != identities(search().trials)


def test_worker_processes_give_the_trials_of_the_calling_process():
    executor = LocalExecutor(2, oversubscribe=True)
    assert identities(search(executor=executor).trials) == identities(search().trials)


@pytest.mark.parametrize("kept", [0, 1, 2, 13, 59, 60])
@pytest.mark.parametrize("strategy", ["random", "evolutionary"])
def test_resumed_run_equals_the_uninterrupted_one(kept, strategy):
    make = partial(evolutionary, name=strategy)
    whole = search(make_strategy=make)
    resumed = search(Memory(whole.trials[:kept]), make_strategy=make)
    assert identities(resumed.trials) == identities(whole.trials)
    assert [t.number for t in resumed.front] == [t.number for t in whole.front]
    assert resumed.hypervolumes == whole.hypervolumes
    assert resumed.notes == ()


def test_resuming_with_more_trials_equals_having_asked_for_them_at_once():
    short = search(stop=StopRule(trials=21))
    longer = search(Memory(short.trials), stop=StopRule(trials=60))
    assert identities(longer.trials) == identities(search().trials)


def test_replayed_trials_are_not_evaluated_again():
    whole = search()
    events = []
    search(Memory(whole.trials[:40]), on_event=events.append)
    trials = [e for e in events if e.kind is EventKind.TRIAL]
    assert [e.replayed for e in trials] == [True] * 40 + [False] * 20
    assert [e.trial.number for e in trials] == list(range(60))


def test_record_that_the_replay_does_not_reach_is_kept_and_told():
    first, second = candidates(6)[:3], candidates(6)[3:]
    old = search(make_strategy=lambda b: Scripted([first]), budgets=())
    strategy = Scripted([second])
    outcome = search(Memory(old.trials), make_strategy=lambda b: strategy, budgets=())
    assert [t.number for t in outcome.trials] == list(range(7))
    assert sorted(strategy.told[-1]) == [1, 2, 3, 4, 5, 6]
    assert "3 recorded trials were not asked for again" in outcome.notes[0]


def test_repeated_candidates_are_answered_from_the_record():
    a, b = candidates(2)
    strategy = Scripted([[a, a, b], [b, a], [TARGET.space.default]])
    outcome = search(make_strategy=lambda budgets: strategy, budgets=())
    assert len(outcome.trials) == 3
    assert strategy.told == [[0], [1, 1, 2], [2, 1], [0]]
    assert outcome.stopped_by is StopReason.EXHAUSTED


def test_strategy_that_only_repeats_itself_ends_the_search():
    class Stuck(Scripted):
        def ask(self, count):
            return [TARGET.space.default]

    assert search(make_strategy=lambda b: Stuck([])).stopped_by is StopReason.EXHAUSTED


def test_failed_trial_is_recorded_told_and_the_search_goes_on():
    outcome = search()
    reasons = {t.failure for t in outcome.trials if t.state is TrialState.FAILED}
    assert reasons == {"the simulated runtime refuses this candidate"}
    strategy = Scripted([[t.candidate for t in outcome.trials if t.failure][:2], candidates(1)])
    again = search(make_strategy=lambda b: strategy, budgets=())
    assert [t.state for t in again.trials[1:]] == ["failed", "failed", "complete"]
    assert strategy.told[1] == [1, 2]


def test_missing_metric_fails_the_trial():
    def forget(measurement, baseline):
        if measurement["kl"].value > 0:
            return Measurement({k: v for k, v in measurement.items() if k != "size_bytes"})
        return measurement

    budgets = parse_budgets(["size=1MB"])
    outcome = search(make_strategy=lambda b: Scripted([candidates(1)]), budgets=budgets, derive=forget)
    assert "'size_bytes' was not measured" in outcome.trials[1].failure


def test_metrics_relative_to_trial_0_are_derived_and_recorded():
    def drop(measurement, baseline):
        return measurement.merged(
            Measurement({"drop": Metric(measurement["kl"].value - baseline["kl"].value)})
        )

    budgets = parse_budgets(["drop=0.01"])
    outcome = search(budgets=budgets, derive=drop)
    assert outcome.trials[0].value("drop") == 0.0
    assert all(t.value("drop") == t.value("kl") <= 0.01 for t in outcome.front)


def test_stages_run_in_their_lanes_and_are_merged():
    executor = SimulatedExecutor(4, lambda payload: 1.0)
    stages = (Stage("quality"), Stage("latency", Lane.EXCLUSIVE))
    outcome = search(executor=executor, stages=stages, clock=executor.now, stop=StopRule(trials=9))
    assert set(outcome.front[0].measurement) == {"kl", "size_bytes", "latency_ms"}
    # Trial 0: 1 s + 1 s. Then 8 qualities on 4 workers and 8 latencies one by one.
    assert outcome.seconds == 2 + 8 / 4 + 8
    assert [t.measurement for t in outcome.trials] == [
        t.measurement for t in search(stop=StopRule(trials=9)).trials
    ]


def test_references_are_measured_after_trial_0():
    reference = TARGET.space.uniform("precision", "w8a8")
    outcome = search(references=(("all w8a8", reference),))
    assert outcome.trials[1].candidate == reference
    assert outcome.trials[1].origin == "all w8a8"
    assert len(outcome.trials) == 60


def test_time_limit_ends_between_trials_and_the_run_can_go_on():
    executor = SimulatedExecutor(1, lambda payload: 1.0)
    outcome = search(executor=executor, clock=executor.now, stop=StopRule(trials=60, seconds=20.5))
    assert outcome.stopped_by is StopReason.SECONDS
    assert len(outcome.trials) == 21
    resumed = search(Memory(outcome.trials))
    assert identities(resumed.trials) == identities(search().trials)


def test_stale_rule_counts_generations_without_progress():
    strategy = Scripted([[c] for c in candidates(30)])
    outcome = search(
        make_strategy=lambda b: strategy, budgets=(), stop=StopRule(trials=60, stale_generations=2)
    )
    assert outcome.stopped_by is StopReason.STALE
    volumes = [v for _, v in outcome.hypervolumes]
    assert volumes[-1] == volumes[-2] == volumes[-3]
    assert len(outcome.trials) < 31


def test_nothing_feasible_gives_the_nearest():
    outcome = search(budgets=parse_budgets(["latency=0.01x"]))
    assert (outcome.front, outcome.best) == ((), None)
    least = min(t.value("latency_ms") for t in outcome.trials if t.measurement)
    assert outcome.nearest.value("latency_ms") == least
    assert all(volume == 0.0 for _, volume in outcome.hypervolumes)


@pytest.mark.parametrize("after", [1, 5, 30])
def test_interrupt_ends_with_the_best_so_far_and_can_be_resumed(after):
    def interrupt(event):
        if event.kind is EventKind.TRIAL and event.trial.number == after:
            raise KeyboardInterrupt

    outcome = search(on_event=interrupt)
    assert outcome.stopped_by is StopReason.INTERRUPTED
    assert outcome.interrupted
    assert len(outcome.trials) == after + 1
    assert identities(search(Memory(outcome.trials)).trials) == identities(search().trials)


def test_error_in_mid_run_keeps_the_best_so_far():
    class Full(Memory):
        def record(self, trial):
            if trial.number == 30:
                raise LedgerError("the disk is full")
            super().record(trial)

    outcome = search(Full())
    assert outcome.stopped_by is StopReason.ERROR
    assert str(outcome.error) == "the disk is full"
    assert len(outcome.trials) == 30
    assert outcome.best is not None


def test_strategy_that_proposes_too_many_is_an_error():
    outcome = search(make_strategy=lambda b: Scripted([candidates(9)]), batch=8)
    assert isinstance(outcome.error, StrategyError)


def test_untouched_model_that_cannot_be_measured_ends_the_run():
    def refuse(measurement, baseline):
        raise EvaluationError("NaN in the output")

    with pytest.raises(EvaluationError, match=r"untouched model cannot be measured: NaN"):
        search(derive=refuse)


def test_budget_on_a_metric_nobody_measures_ends_the_run():
    with pytest.raises(BudgetError, match="'macs' was not measured"):
        search(budgets=parse_budgets(["macs=1M"]))


def test_empty_generation_is_refused():
    with pytest.raises(ConfigError, match="batch=0"):
        search(batch=0)


def test_reference_point_is_on_the_bad_side_of_trial_0():
    baseline = Measurement({"accuracy": Metric(0.9), "latency_ms": Metric(4.0), "kl": Metric(0.0)})
    objectives = tuple(map(Objective, ("accuracy", "latency_ms", "kl")))
    assert reference_point(objectives, baseline).tolist() == [0.0, 8.0, 1.0]


def test_events_tell_phases_trials_and_generations():
    events = []
    search(on_event=events.append, stop=StopRule(trials=17))
    assert [e.text for e in events if e.kind is EventKind.PHASE] == ["baseline", "search with evolutionary"]
    assert [e.done for e in events if e.kind is EventKind.TRIAL] == list(range(1, 18))
    assert len([e for e in events if e.kind is EventKind.BATCH]) == 2
    assert all(e.limit == 17 for e in events)


def test_real_ledger_resumes_across_objects(tmp_path):
    def open_ledger():
        return Ledger.open(tmp_path / "ledger.journal", objectives=OBJECTIVES, space=TARGET.space, meta={})

    ledger = open_ledger()
    search(ledger, stop=StopRule(trials=25))
    ledger.close()
    ledger = open_ledger()
    outcome = search(ledger)
    ledger.close()
    assert identities(outcome.trials) == identities(search().trials)


class Stepwise(Scripted):
    """Asks for whatever is in ``whole`` at full fidelity and for the rest on a subset."""

    def __init__(self, batches, whole):
        super().__init__(batches)
        self.whole = [set(w) for w in whole]

    def ask(self, count):
        self.now = self.whole.pop(0) if self.whole else set()
        return super().ask(count)

    def fidelity(self, candidate):
        return Fidelity.FULL if candidate in self.now else Fidelity.SUBSET


def test_a_strategy_may_say_how_much_to_spend_on_each_proposal():
    a, b, c = candidates(3)
    strategy = Stepwise([[a, b, c], [a], [b, c]], [[], [a], [b]])
    outcome = search(make_strategy=lambda budgets: strategy, budgets=())
    asked = [(t.candidate, t.fidelity) for t in outcome.trials[1:]]
    subset, full = Fidelity.SUBSET, Fidelity.FULL
    assert asked == [(a, subset), (b, subset), (c, subset), (a, full), (b, full)]
    assert strategy.told == [[0], [1, 2, 3], [4], [5, 3]]


def test_a_subset_is_no_answer():
    a, b, c = candidates(3)
    only = search(make_strategy=lambda budgets: Stepwise([[a, b, c]], [[]]), budgets=())
    assert [t.number for t in only.front] == [0]
    assert only.best.number == only.nearest.number == 0
    assert only.hypervolumes[-1][1] == only.hypervolumes[0][1]
    both = search(make_strategy=lambda budgets: Stepwise([[a, b, c], [a, b, c]], [[], [a, b, c]]), budgets=())
    assert all(t.fidelity is Fidelity.FULL for t in both.front)
    assert max(t.number for t in both.front) > 3


@pytest.mark.parametrize("kept", [3, 10, 25, 59])
def test_a_run_at_two_fidelities_is_resumed_like_any_other(kept):
    make = partial(evolutionary, name="halving")
    whole = search(make_strategy=make)
    assert {t.fidelity for t in whole.trials[1:]} == {Fidelity.SUBSET, Fidelity.FULL}
    resumed = search(Memory(whole.trials[:kept]), make_strategy=make)
    assert identities(resumed.trials) == identities(whole.trials)
    # the strategy counts both fidelities; nothing about a replay that took another course
    assert resumed.notes == whole.notes


def test_what_a_strategy_remarks_is_among_the_notes():
    a, b, c = candidates(3)
    strategy = Scripted([[a, b], [c]])
    strategy.remarks = ("said of the search",)
    outcome = search(make_strategy=lambda budgets: strategy, budgets=())
    assert outcome.notes == ("said of the search",)


@pytest.mark.parametrize("kept", [1, 20, 37])
@pytest.mark.parametrize("name", ["controller", "reinforce", "reinforced", "ddpg"])
def test_after_an_interruption_the_learning_curve_is_whole(name, kept):
    make = partial(evolutionary, name=name)
    whole = search(make_strategy=make)
    (curve,) = whole.curves
    assert len(curve.steps) >= 5
    assert search(Memory(whole.trials[:kept]), make_strategy=make).curves == whole.curves


def test_a_strategy_that_learns_nothing_has_no_curve():
    assert search().curves == ()
