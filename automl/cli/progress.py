"""Progress on the terminal: one bar a stage, with the time that is left of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import BarColumn
from rich.progress import MofNCompleteColumn
from rich.progress import Progress
from rich.progress import TextColumn
from rich.progress import TimeElapsedColumn
from rich.progress import TimeRemainingColumn

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console
    from rich.progress import TaskID

    from automl.stages.events import Progressed

__all__ = ["ProgressDisplay"]

#: Seconds of steps that the pace is taken from; a step may take minutes.
PACE_S = 1800.0


class ProgressDisplay:
    """Shows the events of a run on a console; only stage lines when the console is not a terminal."""

    def __init__(self, console: Console) -> None:
        """Args: console: where to draw, standard error on the command line."""
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=console,
            transient=False,
            disable=not console.is_terminal,
            speed_estimate_period=PACE_S,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> ProgressDisplay:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, event: Progressed) -> None:
        """Show one event; the bars of a sweep's cell go when the next one begins."""
        if event.stage == "cell":
            for task in self._tasks.values():
                self._progress.remove_task(task)
            self._tasks.clear()
        if event.total is None:
            self._progress.console.print(event.text, markup=False, highlight=False)
            return
        if event.stage not in self._tasks:
            self._tasks[event.stage] = self._progress.add_task(event.stage, total=event.total, note="")
            if not self._console.is_terminal:
                self._console.print(
                    f"{event.stage}: {event.total} steps {event.text}", markup=False, highlight=False
                )
        if event.replayed:
            self._progress.reset(self._tasks[event.stage])
        self._progress.update(
            self._tasks[event.stage], completed=event.done, total=event.total, note=event.text
        )
