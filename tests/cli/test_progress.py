from __future__ import annotations

from io import StringIO

from rich.console import Console

from automl.cli.progress import ProgressDisplay
from automl.stages.events import Progressed


def written(*events: Progressed, terminal: bool = False) -> str:
    sink = StringIO()
    console = Console(file=sink, width=160, force_terminal=terminal)
    with ProgressDisplay(console) as listener:
        for event in events:
            listener(event)
    return sink.getvalue()


def test_a_pipe_gets_one_line_a_stage_with_its_length():
    text = written(*(Progressed("search", done, 40, "candidates") for done in range(40)))
    assert text == "search: 40 steps candidates\n"


def test_lines_of_text_are_printed_as_they_are():
    assert written(Progressed("search", text="failed: [bold]x[/]")) == "failed: [bold]x[/]\n"


def test_a_terminal_gets_a_bar_with_count_and_time_left():
    text = written(Progressed("price", 0, 8), Progressed("price", 3, 8, "half way"), terminal=True)
    assert "price" in text
    assert "3/8" in text
    assert "left" in text
    assert "half way" in text


def test_steps_of_an_earlier_session_do_not_count_for_the_time_that_is_left():
    console = Console(file=StringIO(), width=160, force_terminal=True)
    display = ProgressDisplay(console)
    for done in range(1, 31):
        display(Progressed("search", done, 40, "from the ledger", replayed=True))
    (task,) = display._progress.tasks
    assert task.completed == 30
    assert task.speed is None
    display(Progressed("search", 31, 40))
    assert task.completed == 31


def test_the_bars_of_one_cell_go_when_the_next_begins():
    console = Console(file=StringIO(), width=120, force_terminal=True)
    with ProgressDisplay(console) as display:
        display(Progressed("search", 3, 10))
        display(Progressed("cell", text="cell 2 of 4"))
        display(Progressed("search", 1, 20))
        tasks = display._progress.tasks
        assert [(t.completed, t.total) for t in tasks] == [(1, 20)]
