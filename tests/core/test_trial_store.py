from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from automl.core.candidate import Candidate
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.rng import child_rng
from automl.core.trial import Fidelity
from automl.core.trial import Trial
from automl.core.trial import TrialState
from automl.core.trial_store import TrialStore

OPTIONS = {"b": ("fp", "w8a8"), "a": (1.0, 0.5, 0.25), "c": (True, False)}
MEASURED = Measurement(
    {"kl": Metric(0.1, "nat", 0.05, 0.2, 500), "latency_ms": Metric(1 / 3, "ms")}, {"machine": {"é": [1]}}
)


def trial(number, **changes):
    candidate = Candidate.of({"a": 0.5, "b": "fp", "c": number % 2 == 0})
    settings = {"measurement": MEASURED, "origin": "exact", "seconds": 0.1 + number, **changes}
    state = settings.pop("state", TrialState.COMPLETE)
    return Trial(number, candidate, state, **settings)


def mixed():
    return [
        trial(0),
        trial(1, state=TrialState.FAILED, measurement=None, failure="layer 3: no 'scale' é"),
        trial(2, fidelity=Fidelity.CONFIRMED, origin="x", measurement=Measurement({"kl": Metric(2.0)})),
        trial(3, state=TrialState.RUNNING, measurement=None),
    ]


def test_trials_come_back_equal_with_their_facts():
    store = TrialStore(tuple(OPTIONS.items()))
    for item in mixed():
        store.append(item)
    seen = store.view()
    assert list(seen) == mixed()
    assert seen[0].measurement.facts == MEASURED.facts
    assert [t.candidate.digest for t in seen] == [t.candidate.digest for t in mixed()]


@pytest.mark.parametrize("count", [2, 3, 5, 16, 17, 256, 300])
def test_codes_of_any_number_of_options_come_back(count):
    names = [f"s{i}" for i in range(13)]
    store = TrialStore([(name, tuple(range(count))) for name in names])
    codes = child_rng(0, "store").integers(0, count, size=(20, 13))
    codes[0], codes[1] = 0, count - 1
    trials = [
        Trial(
            i,
            Candidate.of(dict(zip(names, row.tolist(), strict=True))),
            TrialState.COMPLETE,
            measurement=MEASURED,
        )
        for i, row in enumerate(codes)
    ]
    for item in trials:
        store.append(item)
    assert store.view() == trials


def test_a_store_without_dimensions_holds_the_empty_candidate():
    store = TrialStore([])
    empty = Trial(0, Candidate(()), TrialState.COMPLETE, measurement=MEASURED)
    store.append(empty)
    assert list(store.view()) == [empty]


def test_what_does_not_fit_is_refused_and_not_kept():
    store = TrialStore(tuple(OPTIONS.items()))
    with pytest.raises(ValueError, match="the next number is 0"):
        store.append(trial(1))
    for options, error in (({"a": 0.5}, ValueError), ({"a": 0.5, "b": "w1", "c": True}, KeyError)):
        candidate = Candidate.of(options)
        with pytest.raises(error):
            store.append(Trial(0, candidate, TrialState.COMPLETE, measurement=MEASURED))
    with pytest.raises(KeyError):
        store.append(
            Trial(0, Candidate.of({"a": 0.5, "b": "fp", "d": True}), TrialState.FAILED, failure="no")
        )
    assert len(store) == 0


def test_a_view_is_a_sequence_that_does_not_grow():
    store = TrialStore(tuple(OPTIONS.items()))
    for item in mixed()[:3]:
        store.append(item)
    view = store.view()
    store.append(mixed()[3])
    assert len(view) == 3
    assert view[-1] == mixed()[2]
    assert view[1:] == mixed()[1:3]
    assert view == tuple(mixed()[:3])
    assert list(view.identities()) == [(t.candidate.digest, t.fidelity) for t in view]
    assert view.of([2, 0]) == [mixed()[2], mixed()[0]]
    assert view != mixed()
    with pytest.raises(IndexError):
        view[3]
    with pytest.raises(IndexError, match="there is no trial 4"):
        store[4]


def test_a_trial_of_200_dimensions_takes_less_than_300_bytes():
    names = [f"s{i:03d}" for i in range(200)]
    store = TrialStore([(name, ("fp", "w8a8", "w4a8")) for name in names])
    codes = child_rng(0, "memory").integers(0, 3, size=(500, 200))
    options = np.array(["fp", "w8a8", "w4a8"])
    trials = [
        Trial(
            i,
            Candidate.of(dict(zip(names, options[row].tolist(), strict=True))),
            TrialState.COMPLETE,
            measurement=Measurement({"kl": Metric(0.1 * i, "nat"), "latency_ms": Metric(1.0 * i, "ms")}),
            origin="x",
        )
        for i, row in enumerate(codes)
    ]
    for item in trials:
        item.candidate.digest  # noqa: B018  computed before, so that it is not counted
    tracemalloc.start()
    for item in trials:
        store.append(item)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held / len(trials) < 300
