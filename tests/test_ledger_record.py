from __future__ import annotations

import json

import optuna
import pytest

from automl.core.candidate import Candidate
from automl.core.errors import LedgerError
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.objective import Objective
from automl.core.rng import child_rng
from automl.core.trial import Trial
from automl.core.trial import TrialState
from automl.ledger import Ledger
from automl.ledger import read_ledger
from automl.ledger_record import COMPACT_SCHEMA
from automl.ledger_record import MOST_PARAMETERS
from automl.ledger_record import SCHEMA
from automl.ledger_record import RecordForm
from automl.ledger_record import wanted_schema
from automl.searchspaces.dimension import Dimension
from automl.searchspaces.space import SearchSpace

OBJECTIVES = (Objective("kl"), Objective("latency_ms"))


def chain(count, options=("fp", 8, 0.5, True)):
    return SearchSpace(tuple(Dimension("precision", f"s{i:03d}", options, "fp") for i in range(count)))


LARGE = chain(MOST_PARAMETERS + 1)


def trials_of(space, count=12):
    codes = child_rng(0, "records").integers(0, 4, size=(count, len(space)))
    measured = Measurement({"kl": Metric(0.5, "nat"), "latency_ms": Metric(2.0, "ms")})
    return [
        Trial(i, space.decode(code), TrialState.COMPLETE, measurement=measured, origin="x")
        for i, code in enumerate(codes)
    ]


def write(path, space, trials):
    ledger = Ledger.open(path, objectives=OBJECTIVES, space=space, meta={})
    for trial in trials:
        ledger.record(trial)
    ledger.close()


def test_parameters_up_to_a_number_of_dimensions_and_letters_above():
    assert wanted_schema(chain(MOST_PARAMETERS)) == SCHEMA
    assert wanted_schema(LARGE) == COMPACT_SCHEMA
    assert wanted_schema(chain(MOST_PARAMETERS + 1, ("fp", *range(70)))) == SCHEMA


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_trials_of_a_large_space_come_back_equal_with_the_space_and_without(tmp_path, kind):
    where = tmp_path / "l.journal" if kind == "journal" else f"sqlite:///{tmp_path}/l.db"
    trials = trials_of(LARGE)
    write(where, LARGE, trials[:8])
    write(where, LARGE, [])
    ledger = Ledger.open(where, objectives=OBJECTIVES, space=LARGE, meta={})
    assert ledger.trials() == trials[:8]
    for trial in trials[8:]:
        ledger.record(trial)
    ledger.close()
    seen = read_ledger(where).trials
    assert list(seen) == trials
    assert [type(option) for _, option in seen[0].candidate.assignment] == [
        type(option) for _, option in trials[0].candidate.assignment
    ]


def test_a_line_of_a_large_space_does_not_grow_with_its_options(tmp_path):
    trials = trials_of(LARGE, 1)
    write(tmp_path / "l.journal", LARGE, trials)
    last = (tmp_path / "l.journal").read_bytes().splitlines()[-1]
    assert len(last) < 1000
    assert len(json.loads(last)["user_attrs"]["automl"]["options"]) == len(LARGE)


def test_the_dashboard_opens_a_compact_ledger(tmp_path):
    write(tmp_path / "l.journal", LARGE, trials_of(LARGE, 3))
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "l.journal"))
    study = optuna.load_study(study_name="run", storage=optuna.storages.JournalStorage(backend))
    assert [t.values for t in study.get_trials()] == [[0.5, 2.0]] * 3


def test_a_ledger_that_was_begun_with_parameters_goes_on_with_them(tmp_path, monkeypatch):
    trials = trials_of(LARGE)
    with monkeypatch.context() as older:
        older.setattr("automl.ledger.wanted_schema", lambda space: SCHEMA)
        write(tmp_path / "l.journal", LARGE, trials[:2])
    ledger = Ledger.open(tmp_path / "l.journal", objectives=OBJECTIVES, space=LARGE, meta={})
    ledger.record(trials[2])
    ledger.close()
    assert list(read_ledger(tmp_path / "l.journal").trials) == trials[:3]
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "l.journal"))
    study = optuna.load_study(study_name="run", storage=optuna.storages.JournalStorage(backend))
    assert all(len(t.params) == len(LARGE) for t in study.get_trials())


@pytest.mark.parametrize(
    "candidate",
    [Candidate.of({"precision:s000": "fp"}), Candidate.of({**LARGE.default.as_dict, "precision:s001": "w1"})],
    ids=["dimensions missing", "unknown option"],
)
def test_a_candidate_outside_a_large_space_is_refused(tmp_path, candidate):
    ledger = Ledger.open(tmp_path / "l.journal", objectives=OBJECTIVES, space=LARGE, meta={})
    measured = trials_of(LARGE, 1)[0].measurement
    with pytest.raises(LedgerError, match="does not fit the run's search space"):
        ledger.record(Trial(0, candidate, TrialState.COMPLETE, measurement=measured))
    ledger.close()


def test_changed_letters_are_noticed(tmp_path):
    path = tmp_path / "l.journal"
    write(path, LARGE, trials_of(LARGE, 2))
    lines = path.read_text().splitlines(keepends=True)
    entry = json.loads(lines[-1])
    letters = entry["user_attrs"]["automl"]["options"]
    entry["user_attrs"]["automl"]["options"] = ("1" if letters[0] != "1" else "0") + letters[1:]
    path.write_text("".join([*lines[:-1], json.dumps(entry) + "\n"]))
    with pytest.raises(LedgerError, match="damaged"):
        read_ledger(path)


def test_without_the_list_of_dimensions_a_compact_ledger_says_so():
    with pytest.raises(LedgerError, match="does not say what its letters mean"):
        RecordForm.stored(COMPACT_SCHEMA, {})
    assert RecordForm.stored(SCHEMA, {}) == RecordForm()


def test_a_list_of_dimensions_in_another_order_is_noticed(tmp_path):
    path = tmp_path / "l.journal"
    write(path, LARGE, trials_of(LARGE, 2))
    lines = path.read_text().splitlines(keepends=True)
    (at,) = [i for i, line in enumerate(lines) if "automl_dimensions" in line and "op_code" in line]
    entry = json.loads(lines[at])
    dimensions = entry["user_attr"]["automl_dimensions"]
    entry["user_attr"]["automl_dimensions"] = [dimensions[1], dimensions[0], *dimensions[2:]]
    lines[at] = json.dumps(entry) + "\n"
    path.write_text("".join(lines))
    with pytest.raises(LedgerError, match="trial 0 of the ledger is damaged"):
        read_ledger(path)


def test_letters_are_read_whatever_the_order_of_the_dimensions(tmp_path):
    space = SearchSpace(tuple(reversed(LARGE.dimensions)))
    trials = trials_of(space, 3)
    write(tmp_path / "l.journal", space, trials)
    seen = read_ledger(tmp_path / "l.journal").trials
    assert list(seen) == trials
    assert [t.candidate.digest for t in seen] == [t.candidate.digest for t in trials]
