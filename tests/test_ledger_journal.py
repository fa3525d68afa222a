"""The study in a journal, against Optuna's own storage on the same file."""

from __future__ import annotations

import json

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from automl.core.errors import LedgerError
from automl.ledger_file import checksum
from automl.ledger_journal import FileLines
from automl.ledger_journal import JournalStudy

DIRECTIONS = [optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE]
#: What differs between any two writers or moments.
PASSING = {"worker_id", "datetime_start", "datetime_complete"}


def frozen(number, *, complete=True):
    record = {"number": number, "text": "é"}
    return optuna.trial.create_trial(
        state=optuna.trial.TrialState.COMPLETE if complete else optuna.trial.TrialState.FAIL,
        values=[0.5 * number, 2.0] if complete else None,
        params={"a": "fp", "b": 0.5},
        distributions={
            "a": CategoricalDistribution(("w8", "fp")),
            "b": CategoricalDistribution((1.0, 0.5)),
        },
        user_attrs={"automl": {**record, "check": checksum(record)}},
    )


def opened(path, name="run"):
    study = JournalStudy(FileLines(path, mend=True), name)
    found = study.find()
    return study, found, list(study.trials())


def official(path):
    return JournalStorage(JournalFileBackend(str(path)))


def lasting(path):
    entries = map(json.loads, path.read_text().splitlines())
    return [{key: value for key, value in entry.items() if key not in PASSING} for entry in entries]


def test_every_line_is_the_one_that_optuna_writes(tmp_path):
    ours, _, _ = opened(tmp_path / "ours")
    ours.create(DIRECTIONS)
    ours.set_attribute("key", {"x": [1]})
    numbers = [ours.add(frozen(0)), ours.add(frozen(1, complete=False))]
    theirs = official(tmp_path / "theirs")
    study = theirs.create_new_study(DIRECTIONS, "run")
    theirs.set_study_user_attr(study, "key", {"x": [1]})
    for trial in (frozen(0), frozen(1, complete=False)):
        theirs.create_new_trial(study, template_trial=trial)
    assert numbers == [0, 1]
    assert lasting(tmp_path / "ours") == lasting(tmp_path / "theirs")


def test_optuna_reads_what_is_written_with_its_times(tmp_path):
    ours, _, _ = opened(tmp_path / "j")
    ours.create(DIRECTIONS)
    written = [frozen(i, complete=i != 1) for i in range(3)]
    for trial in written:
        ours.add(trial)
    seen = official(tmp_path / "j").get_all_trials(0)
    for a, b in zip(written, seen, strict=True):
        assert (a.values, a.params, a.user_attrs, a.state) == (b.values, b.params, b.user_attrs, b.state)
        assert (a.datetime_start, a.datetime_complete) == (b.datetime_start, b.datetime_complete)
        assert a.distributions == b.distributions


def test_what_optuna_wrote_is_read_and_other_studies_and_notes_are_left_out(tmp_path):
    theirs = official(tmp_path / "j")
    gone = theirs.create_new_study(DIRECTIONS, "gone")
    theirs.create_new_trial(gone, template_trial=frozen(0))
    theirs.delete_study(gone)
    other = theirs.create_new_study(DIRECTIONS, "other")
    study = theirs.create_new_study(DIRECTIONS, "run")
    for number in range(2):
        theirs.create_new_trial(other, template_trial=frozen(number))
        theirs.create_new_trial(study, template_trial=frozen(number))
    theirs.set_study_system_attr(study, "note", "a note of the dashboard")
    theirs.set_study_user_attr(study, "late", 1)
    theirs.set_study_user_attr(other, "key", "another study's")
    ours, found, trials = opened(tmp_path / "j")
    assert found
    assert [(t.number, t.record["number"]) for t in trials] == [(0, 0), (1, 1)]
    assert trials[0].params == {"a": "fp", "b": 0.5}
    assert trials[0].choices == {"a": ("w8", "fp"), "b": (1.0, 0.5)}
    assert ours.attributes == {"late": 1}
    assert ours.add(frozen(2)) == 2
    assert len(theirs.get_all_trials(study)) == 3
    assert len(theirs.get_all_trials(other)) == 2


def test_a_trial_that_somebody_else_added_takes_the_number(tmp_path):
    ours, _, _ = opened(tmp_path / "j")
    ours.create(DIRECTIONS)
    ours.add(frozen(0))
    theirs = official(tmp_path / "j")
    theirs.create_new_trial(0, template_trial=frozen(1))
    assert ours.add(frozen(1)) == 2
    assert ours.stored(2).record["number"] == 1
    assert ours.stored(1) is None


def test_a_study_that_is_not_there_and_one_without_trials(tmp_path):
    study, found, trials = opened(tmp_path / "j")
    assert (found, trials, study.has_trials) == (False, [], False)
    study.create(DIRECTIONS)
    again, found, trials = opened(tmp_path / "j")
    assert (found, trials, again.has_trials) == (True, [], False)
    again.add(frozen(0))
    third = JournalStudy(FileLines(tmp_path / "j"), "run")
    assert third.find()
    assert third.has_trials


def test_a_reader_leaves_a_torn_line_alone_and_a_writer_mends_it_once(tmp_path):
    path = tmp_path / "j"
    study, _, _ = opened(path)
    study.create(DIRECTIONS)
    study.add(frozen(0))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code":4,"wor')
    reader = FileLines(path)
    assert (len(list(reader.new())), reader.repair) == (2, None)
    assert path.read_bytes() != whole
    writer = FileLines(path, mend=True)
    assert len(list(writer.new())) == 2
    assert writer.repair == "line 3 of j was torn after 17 bytes and cut off"
    assert path.read_bytes() == whole
    assert list(writer.new()) == []


def test_a_line_that_is_being_written_is_not_cut_off_by_a_writer_at_work(tmp_path):
    path = tmp_path / "j"
    lines = FileLines(path, mend=True)
    list(lines.new())
    lines.append({"op_code": 0, "worker_id": "w", "study_name": "run", "directions": [1]})
    list(lines.new())
    half = path.read_bytes() + b'{"op_code":3,'
    path.write_bytes(half)
    assert list(lines.new()) == []
    assert path.read_bytes() == half


def test_a_write_that_fails_leaves_no_half_line(tmp_path, monkeypatch):
    path = tmp_path / "j"
    lines = FileLines(path)
    lines.append({"op_code": 0, "worker_id": "w"})
    whole = path.read_bytes()

    def half(self, logs):
        with path.open("ab") as file:
            file.write(b'{"op_co')
        raise OSError("no space left")

    monkeypatch.setattr(JournalFileBackend, "append_logs", half)
    with pytest.raises(OSError, match="no space"):
        lines.append({"op_code": 0, "worker_id": "w"})
    assert path.read_bytes() == whole


def test_a_damaged_line_is_named_by_its_number(tmp_path):
    path = tmp_path / "j"
    study, _, _ = opened(path)
    study.create(DIRECTIONS)
    study.add(frozen(0))
    path.write_bytes(path.read_bytes().replace(b'"text"', b'"test"'))
    with pytest.raises(LedgerError, match="j is damaged at line 2"):
        opened(path)
