from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from sqlalchemy.exc import OperationalError

from automl.core.candidate import Candidate
from automl.core.errors import LedgerError
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.objective import Objective
from automl.core.trial import Fidelity
from automl.core.trial import Trial
from automl.core.trial import TrialState
from automl.ledger import Ledger
from automl.ledger import read_ledger
from automl.searchspaces.dimension import Dimension
from automl.searchspaces.space import SearchSpace

SPACE = SearchSpace(
    (
        Dimension("precision", "a", ("fp", "w8a8"), "fp"),
        Dimension("width", "b", (1.0, 0.75, 0.5), 1.0),
        Dimension("depth", "c", (True, False), True),
    )
)
OBJECTIVES = (Objective("accuracy"), Objective("latency_ms"))
META = {"seed": 0, "budgets": ["latency=5ms"], "target": {"name": "openvino", "threads": 2}}


def complete(number, option="w8a8", width=0.5, **changes):
    candidate = Candidate.of({"precision:a": option, "width:b": width, "depth:c": number % 2 == 0})
    measurement = Measurement(
        {"accuracy": Metric(0.875 + number / 100, "", 0.85, 0.95, 500), "latency_ms": Metric(3.25, "ms")},
        {"machine": {"isa": "avx512"}, "repeats": [1, 2]},
    )
    return Trial(
        number,
        candidate,
        TrialState.COMPLETE,
        measurement=measurement,
        origin="exact",
        seconds=1.5,
        **changes,
    )


def failed(number):
    candidate = Candidate.of({"precision:a": "fp", "width:b": 0.75, "depth:c": True})
    return Trial(
        number, candidate, TrialState.FAILED, Fidelity.SUBSET, None, "layer 3: no 'scale' é", "random", 0.25
    )


def open_ledger(where, **changes):
    settings = {"objectives": OBJECTIVES, "space": SPACE, "meta": META, **changes}
    return Ledger.open(where, **settings)


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "run" / "ledger.journal"


def write_three(journal):
    ledger = open_ledger(journal)
    written = [complete(0, "fp", 1.0), failed(1), complete(2, fidelity=Fidelity.CONFIRMED)]
    for trial in written:
        ledger.record(trial)
    ledger.close()
    return written


@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_trials_come_back_equal(tmp_path, kind):
    where = tmp_path / "ledger.journal" if kind == "journal" else f"sqlite:///{tmp_path}/ledger.db"
    written = write_three(where)
    ledger = open_ledger(where)
    assert ledger.trials() == written
    assert [t.measurement.facts if t.measurement else None for t in ledger.trials()] == [
        t.measurement.facts if t.measurement else None for t in written
    ]
    ledger.record(complete(3))
    ledger.close()
    view = read_ledger(where)
    assert list(view.trials) == [*written, complete(3)]
    assert (view.objectives, view.meta, view.space) == (OBJECTIVES, META, SPACE.fingerprint)


def test_dashboard_sees_directions_values_and_parameters(journal):
    write_three(journal)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    study = optuna.load_study(study_name="run", storage=storage)
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    trials = study.get_trials()
    assert [t.state.name for t in trials] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert trials[0].values == [0.875, 3.25]
    assert trials[0].params == {"precision:a": "fp", "width:b": 1.0, "depth:c": True}
    assert trials[0].distributions["width:b"].choices == (1.0, 0.75, 0.5)
    assert list(trials[1].user_attrs) == ["automl"]


def test_each_trial_is_one_line(journal):
    ledger = open_ledger(journal)
    before = len(journal.read_bytes().splitlines())
    ledger.record(complete(0))
    ledger.close()
    assert len(journal.read_bytes().splitlines()) == before + 1


def test_numbers_must_follow_each_other(journal):
    ledger = open_ledger(journal)
    with pytest.raises(LedgerError, match="the next number is 0"):
        ledger.record(complete(1))
    ledger.close()


def test_candidate_outside_the_space_is_refused(journal):
    ledger = open_ledger(journal)
    with pytest.raises(LedgerError, match="does not fit the run's search space"):
        ledger.record(complete(0, "w1a1"))
    ledger.record(complete(0))
    assert len(ledger.trials()) == 1
    ledger.close()


def test_different_configuration_is_named(journal):
    write_three(journal)
    other = {**META, "budgets": ["latency=4ms"], "target": {"name": "openvino", "threads": 1}}
    with pytest.raises(LedgerError, match="another configuration") as caught:
        open_ledger(journal, meta=other)
    text = str(caught.value)
    assert "meta.budgets is ['latency=5ms'] there and ['latency=4ms'] now" in text
    assert "meta.target.threads is 2 there and 1 now" in text
    assert "seed" not in text


def test_different_space_is_refused(journal):
    write_three(journal)
    with pytest.raises(LedgerError, match="space is"):
        open_ledger(journal, space=SearchSpace(SPACE.dimensions[:2]))


def test_refused_opening_gives_the_lock_back(journal):
    write_three(journal)
    with pytest.raises(LedgerError):
        open_ledger(journal, meta={})
    open_ledger(journal).close()


def test_folder_of_another_program_is_refused(journal):
    journal.parent.mkdir()
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(journal)))
    optuna.create_study(study_name="run", storage=storage).add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(LedgerError, match="not written by automl"):
        open_ledger(journal)


@pytest.mark.parametrize("kept", [1, 20, -2])
def test_torn_last_line_is_cut_off_and_noted(journal, kept):
    written = write_three(journal)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]) + lines[-1][:kept])
    ledger = open_ledger(journal)
    assert ledger.trials() == written[:2]
    assert f"line {len(lines)}" in ledger.repairs[0]
    ledger.record(complete(2))
    ledger.close()
    view = read_ledger(journal)
    assert len(view.trials) == 3
    assert view.repairs == ledger.repairs


def test_last_line_without_its_line_end_is_kept(journal):
    written = write_three(journal)
    journal.write_bytes(journal.read_bytes()[:-1])
    ledger = open_ledger(journal)
    assert ledger.trials() == written
    assert "lacked its line end" in ledger.repairs[0]
    ledger.close()


def test_every_cut_of_the_file_opens_with_the_trials_before_it(journal):
    written = write_three(journal)
    data = journal.read_bytes()
    ends = [i + 1 for i, byte in enumerate(data) if byte == 10]
    for cut in range(0, len(data), 37):
        journal.write_bytes(data[:cut])
        ledger = open_ledger(journal)
        # Two lines create the study; a line that lacks only its line end counts.
        full = sum(end - 1 <= cut for end in ends)
        assert ledger.trials() == written[: max(0, full - 2)]
        ledger.close()


def damage(journal, old, new):
    data = journal.read_bytes()
    assert old in data
    journal.write_bytes(data.replace(old, new, 1))


def test_damaged_line_is_named(journal):
    write_three(journal)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:3], b"\x00\x00garbage\n", *lines[4:]]))
    with pytest.raises(LedgerError, match="damaged at line 4"):
        open_ledger(journal)


def test_changed_digit_is_noticed(journal):
    write_three(journal)
    damage(journal, b'"high":0.95', b'"high":0.96')
    with pytest.raises(LedgerError, match="damaged at line 3"):
        open_ledger(journal)


def test_changed_parameter_is_noticed(journal):
    write_three(journal)
    damage(journal, b'"precision:a":0', b'"precision:a":1')
    with pytest.raises(LedgerError, match="trial 0 of the ledger is damaged: its parameters"):
        open_ledger(journal)


def test_missing_line_is_noticed(journal):
    write_three(journal)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    with pytest.raises(LedgerError, match="trial 0 of the ledger is damaged"):
        open_ledger(journal)


def test_reading_needs_no_lock_and_survives_a_line_being_written(journal):
    ledger = open_ledger(journal)
    ledger.record(complete(0))
    with journal.open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    assert len(read_ledger(journal).trials) == 1
    ledger.close()


def test_reading_nothing_is_one_sentence(tmp_path):
    with pytest.raises(LedgerError, match="there is no ledger"):
        read_ledger(tmp_path / "ledger.journal")
    write_three(tmp_path / "ledger.journal")
    with pytest.raises(LedgerError, match="no study 'other'"):
        read_ledger(tmp_path / "ledger.journal", study_name="other")


def test_full_disk_loses_nothing(journal):
    # A file-size limit stands for a full disk: the write stops half-way with an error.
    script = f"""
import resource, signal, sys
from pathlib import Path
from tests.test_ledger import complete, open_ledger
from automl.core.errors import LedgerError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Path({str(journal)!r})
ledger = open_ledger(journal)
ledger.record(complete(0))
resource.setrlimit(resource.RLIMIT_FSIZE, (journal.stat().st_size + 300, resource.RLIM_INFINITY))
try:
    ledger.record(complete(1))
except LedgerError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
ledger.record(complete(1))
ledger.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        check=False,
    )
    assert done.stderr == ""
    assert "cannot read or write the ledger" in done.stdout
    assert "File too large" in done.stdout
    assert list(read_ledger(journal).trials) == [complete(0), complete(1)]


def test_unwritable_place_is_one_sentence(tmp_path):
    (tmp_path / "run").write_text("a file where a folder is needed")
    with pytest.raises(LedgerError, match="choose a writable folder"):
        open_ledger(tmp_path / "run" / "ledger.journal")


def test_missing_database_driver_is_one_sentence():
    with pytest.raises(LedgerError, match="driver that is not installed") as caught:
        open_ledger("mssql+pymssql://user:secret@host/db")
    assert "mssql+pymssql://host/db" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["nodatabase://host/db", "://", "sqlite:////proc/none/ledger.db"])
def test_storage_that_cannot_be_opened_is_one_sentence(url):
    with pytest.raises(LedgerError, match=r"is not understood|cannot read or write"):
        open_ledger(url)


def test_second_writer_of_a_database_is_noticed(tmp_path):
    where = f"sqlite:///{tmp_path}/ledger.db"
    one, two = open_ledger(where), open_ledger(where)
    one.record(complete(0))
    with pytest.raises(LedgerError, match="another writer"):
        two.record(complete(0))


def test_meta_must_survive_json(journal):
    open_ledger(journal, meta={"shape": (1, 3)}).close()
    open_ledger(journal, meta={"shape": [1, 3]}).close()
    assert json.loads(json.dumps(read_ledger(journal).meta)) == {"shape": [1, 3]}


def test_lock_left_by_a_killed_writer_in_mid_line_does_not_stall(journal):
    write_three(journal)
    journal.with_name("ledger.journal.lock").symlink_to(journal)
    ledger = open_ledger(journal)
    ledger.record(complete(3))
    ledger.close()
    assert len(read_ledger(journal).trials) == 4


def test_ctrl_c_in_a_write_stays_ctrl_c_when_the_lock_then_fails():
    from automl.ledger import _pass_on_interrupt

    try:
        try:
            raise KeyboardInterrupt
        finally:
            raise FileNotFoundError("the lock was not taken yet")
    except OSError as error:
        with pytest.raises(KeyboardInterrupt):
            _pass_on_interrupt(error)
    _pass_on_interrupt(OSError("no space left"))


class Restarting:
    """A study whose server goes away for some writes; the last of them arrived although nobody was told."""

    def __init__(self, study, outages, *, arrives):
        self._study, self.outages, self._arrives = study, outages, arrives

    def add(self, frozen):
        if self.outages:
            self.outages -= 1
            if self._arrives and not self.outages:
                self._study.add(frozen)
            raise OperationalError("INSERT", {}, OSError("server closed the connection unexpectedly"))
        return self._study.add(frozen)

    def __getattr__(self, name):
        return getattr(self._study, name)


@pytest.mark.parametrize("arrives", [False, True])
def test_a_database_that_restarts_gets_every_trial_once(tmp_path, arrives):
    ledger = open_ledger(f"sqlite:///{tmp_path}/l.db")
    ledger.patience_s = (0.0, 0.0, 0.0)
    ledger.record(complete(0))
    ledger._study = Restarting(ledger._study, 3, arrives=arrives)
    ledger.record(complete(1))
    ledger.record(complete(2))
    ledger.close()
    assert list(read_ledger(f"sqlite:///{tmp_path}/l.db").trials) == [complete(0), complete(1), complete(2)]


def test_a_database_that_stays_away_ends_the_run_and_a_file_is_not_waited_for(tmp_path, journal):
    for where, attempts in ((f"sqlite:///{tmp_path}/l.db", 3), (journal, 1)):
        ledger = open_ledger(where)
        assert ledger.patience_s == ()
        ledger.patience_s = (0.0,) * (attempts - 1)
        ledger._study = Restarting(ledger._study, 99, arrives=False)
        with pytest.raises(LedgerError, match="server closed the connection"):
            ledger.record(complete(0))
        assert ledger._study.outages == 99 - attempts
        assert ledger.trials() == []
        ledger.close()
