from __future__ import annotations

import pytest

from automl.core.candidate import Candidate
from automl.core.errors import EvaluationError
from automl.core.trial import Fidelity
from automl.core.trial import Trial
from automl.core.trial import TrialState
from tests.core.trials import complete
from tests.core.trials import failed
from tests.core.trials import measured
from tests.core.trials import running

CANDIDATE = Candidate.of({"a": 1})


@pytest.mark.parametrize(
    ("state", "measurement", "failure"),
    [
        (TrialState.COMPLETE, None, None),
        (TrialState.COMPLETE, measured(kl=1.0), "reason"),
        (TrialState.FAILED, None, None),
        (TrialState.FAILED, measured(kl=1.0), "reason"),
        (TrialState.RUNNING, measured(kl=1.0), None),
        (TrialState.RUNNING, None, "reason"),
    ],
)
def test_state_and_contents_must_agree(state, measurement, failure):
    with pytest.raises(EvaluationError, match="trial 3"):
        Trial(3, CANDIDATE, state, measurement=measurement, failure=failure)


def test_value_of_a_complete_trial():
    assert complete(1, kl=0.5).value("kl") == 0.5


@pytest.mark.parametrize("trial", [complete(4, kl=0.5), failed(4), running(4)])
def test_missing_metric_is_named(trial):
    with pytest.raises(EvaluationError, match="trial 4 has no metric 'latency_ms'"):
        trial.value("latency_ms")


def test_states_and_fidelities_read_as_words():
    assert (TrialState("failed"), Fidelity("confirmed")) == (TrialState.FAILED, Fidelity.CONFIRMED)
    assert f"{TrialState.COMPLETE}" == "complete"


def test_fidelities_are_listed_from_least_to_most():
    assert list(Fidelity) == [Fidelity.SUBSET, Fidelity.FULL, Fidelity.CONFIRMED]
