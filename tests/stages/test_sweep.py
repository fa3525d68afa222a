from __future__ import annotations

import stat
from dataclasses import replace

import pytest

from automl.api_sweep import load_sweep
from automl.core.errors import ConfigError
from automl.core.errors import LedgerError
from automl.core.errors import ModelError
from automl.core.errors import StrategyError
from automl.stages.answer import write_answer
from automl.stages.events import silent
from automl.stages.folder import open_folder
from automl.stages.secret_storage import kept_storage
from automl.stages.sweep import CELLS
from automl.stages.sweep import check_sweep
from automl.stages.sweep import is_sweep
from automl.stages.sweep import open_sweep_folder
from automl.stages.sweep import run_cells
from automl.stages.sweep import statuses
from automl.stages.sweep_record import CellState
from automl.sweep_config import make_sweep

SETTINGS = {"models": ["tests.digits:build"], "seeds": [0, 1, 2], "trials": 6}


class Searcher:
    """Stands for the search of one cell: writes a given answer, or does what the seed is told to do."""

    def __init__(self, answer, acts=None):
        self.answer = answer
        self.acts = acts or {}
        self.ran = []

    def __call__(self, config, folder, listener):
        self.ran.append(config.seed)
        open_folder(config, folder)
        act = self.acts.get(config.seed)
        if isinstance(act, BaseException):
            raise act
        answer = act or self.answer
        write_answer(folder, answer)
        return answer


@pytest.fixture
def opened(tmp_path):
    sweep = make_sweep(SETTINGS)
    open_sweep_folder(sweep, tmp_path / "s")
    return sweep, tmp_path / "s"


def states(found):
    return [status.state for status in found.values()]


def test_a_failed_cell_is_recorded_and_the_others_run(opened, digits_run):
    sweep, folder = opened
    searcher = Searcher(digits_run.answer, {1: ModelError("there is no such model\nat all")})
    found = run_cells(sweep, folder, searcher, silent)
    assert states(found) == [CellState.DONE, CellState.FAILED, CellState.DONE]
    assert [s.reason for s in found.values()] == ["", "there is no such model at all", ""]
    assert statuses(folder, sweep.cells()) == found


def test_the_same_sweep_again_runs_what_is_not_done(opened, digits_run):
    sweep, folder = opened
    run_cells(sweep, folder, Searcher(digits_run.answer, {1: ModelError("gone")}), silent)
    again = Searcher(digits_run.answer)
    found = run_cells(sweep, folder, again, silent)
    assert again.ran == [1]
    assert states(found) == [CellState.DONE] * 3


@pytest.mark.parametrize("how", ["raised", "answered"])
def test_ctrl_c_ends_the_sweep_and_it_goes_on_there(opened, digits_run, how):
    sweep, folder = opened
    act = KeyboardInterrupt() if how == "raised" else replace(digits_run.answer, stopped_by="interrupted")
    found = run_cells(sweep, folder, Searcher(digits_run.answer, {1: act}), silent)
    assert states(found) == [CellState.DONE, CellState.INTERRUPTED, CellState.PENDING]
    again = Searcher(digits_run.answer)
    run_cells(sweep, folder, again, silent)
    assert again.ran == [1, 2]


def test_a_search_that_ended_early_is_a_failed_cell_with_its_reason(opened, digits_run):
    sweep, folder = opened
    early = replace(digits_run.answer, stopped_by="error", notes=("the search ended early: disk full",))
    found = run_cells(sweep, folder, Searcher(digits_run.answer, {2: early}), silent)
    assert [s.reason for s in found.values()] == ["", "", "the search ended early: disk full"]


def test_more_trials_run_the_cells_again(opened, digits_run):
    sweep, folder = opened
    run_cells(sweep, folder, Searcher(digits_run.answer), silent)
    more = make_sweep({**SETTINGS, "trials": 9})
    open_sweep_folder(more, folder)
    again = Searcher(digits_run.answer)
    run_cells(more, folder, again, silent)
    assert again.ran == [0, 1, 2]
    once_more = Searcher(digits_run.answer)
    run_cells(more, folder, once_more, silent)
    assert once_more.ran == []


def test_finished_cells_are_found_without_the_record(opened, digits_run):
    sweep, folder = opened
    run_cells(sweep, folder, Searcher(digits_run.answer), silent)
    (folder / "sweep.json").unlink()
    assert states(statuses(folder, sweep.cells())) == [CellState.DONE] * 3


def test_a_cell_whose_run_was_removed_runs_again(opened, digits_run):
    sweep, folder = opened
    run_cells(sweep, folder, Searcher(digits_run.answer), silent)
    (folder / CELLS / sweep.cells()[0].name / "answer.json").unlink()
    assert states(statuses(folder, sweep.cells())) == [CellState.PENDING, CellState.DONE, CellState.DONE]


def test_lists_may_grow_in_the_same_folder(opened, digits_run):
    sweep, folder = opened
    run_cells(sweep, folder, Searcher(digits_run.answer), silent)
    wider = make_sweep({**SETTINGS, "seeds": [0, 1, 2, 3]})
    open_sweep_folder(wider, folder)
    again = Searcher(digits_run.answer)
    run_cells(wider, folder, again, silent)
    assert again.ran == [3]


def test_seconds_come_from_the_clock_and_add_up_over_sessions(opened, digits_run):
    sweep, folder = opened
    for factor in (1, 2):
        ticks = iter(range(1000))
        failing = Searcher(digits_run.answer, {s: ModelError("no") for s in range(3)})
        found = run_cells(sweep, folder, failing, silent, clock=lambda t=ticks: 5.0 * next(t))
        assert [s.seconds for s in found.values()] == [5.0 * factor] * 3


def test_two_processes_do_not_run_one_sweep(opened, digits_run):
    sweep, folder = opened

    def nested(config, run, listener):
        run_cells(sweep, folder, Searcher(digits_run.answer), silent)

    found = run_cells(sweep, folder, nested, silent)
    assert all("one writer" in status.reason for status in found.values())


def test_another_shared_setting_is_refused_by_name(opened):
    _, folder = opened
    with pytest.raises(ConfigError, match=r"with another 'evaluation' \(256 there, 99 here\)"):
        open_sweep_folder(make_sweep({**SETTINGS, "evaluation": 99}), folder)
    with pytest.raises(ConfigError, match="holds the sweep 'sweep', not 'other'"):
        open_sweep_folder(make_sweep(SETTINGS, name="other"), folder)
    open_sweep_folder(make_sweep({**SETTINGS, "workers": 2}), folder)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(ConfigError, match="is not a sweep's folder"):
        open_sweep_folder(make_sweep(SETTINGS), tmp_path)
    assert not is_sweep(tmp_path)


def test_the_password_of_a_storage_is_kept_for_the_owner_alone_and_not_shown(tmp_path):
    folder = tmp_path / "s"
    open_sweep_folder(make_sweep({**SETTINGS, "storage": "postgresql://me:secret@db/x"}), folder)
    assert "secret" not in (folder / "sweep.yaml").read_text()
    assert stat.S_IMODE((folder / "storage.url").stat().st_mode) == 0o600
    assert (
        load_sweep(folder / "sweep.yaml", storage=kept_storage(folder))
        .shared["storage"]
        .endswith("secret@db/x")
    )
    assert is_sweep(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"strategies": ["random", "evolutionery"]}, "key 'strategies': unknown strategy 'evolutionery'"),
        ({"targets": ["openvin"]}, "key 'targets': unknown target 'openvin'"),
        ({"options": ["w9"]}, "unknown option 'w9'"),
        ({"workers": 10_000}, "workers=10000 does not fit"),
    ],
)
def test_unknown_names_are_refused_before_anything_runs(change, said):
    with pytest.raises((ConfigError, StrategyError), match=said):
        check_sweep(make_sweep({**SETTINGS, **change}))


def test_a_damaged_record_is_an_error_of_the_sweep(opened, digits_run):
    sweep, folder = opened
    (folder / "sweep.json").write_text("{")
    with pytest.raises(LedgerError, match="is damaged"):
        run_cells(sweep, folder, Searcher(digits_run.answer), silent)
