"""Small trials for the tests of this room."""

from __future__ import annotations

from automl.core.candidate import Candidate
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.trial import Fidelity
from automl.core.trial import Trial
from automl.core.trial import TrialState


def measured(**values):
    return Measurement({name: Metric(value) for name, value in values.items()})


def complete(number, *, key=None, fidelity=Fidelity.FULL, **values):
    """Return a complete trial of a candidate identified by ``key`` (its number by default)."""
    candidate = Candidate.of({"a": number if key is None else key})
    return Trial(number, candidate, TrialState.COMPLETE, fidelity, measured(**values))


def failed(number):
    return Trial(number, Candidate.of({"a": number}), TrialState.FAILED, failure="broken")


def running(number):
    return Trial(number, Candidate.of({"a": number}), TrialState.RUNNING)
