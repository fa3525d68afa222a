"""What a run says while it works; the command line draws it, the API ignores it unless asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Listener", "Progressed", "silent"]


@dataclass(frozen=True)
class Progressed:
    """One step of a stage, or a line of text when ``total`` is None.

    Args:
        stage: name of the stage.
        done: steps done.
        total: steps in all, None for a line of text.
        text: a short remark, for example the best value so far.
        replayed: whether the step was taken from an earlier session, so that it tells nothing about the pace.
    """

    stage: str
    done: int = 0
    total: int | None = None
    text: str = ""
    replayed: bool = False


Listener = Callable[[Progressed], None]


def silent(_: Progressed) -> None:
    """Ignore the event."""
