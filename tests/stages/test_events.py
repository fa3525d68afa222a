from __future__ import annotations

from automl.stages.events import Progressed
from automl.stages.events import silent


def test_a_line_of_text_has_no_total():
    assert Progressed("search", text="hello").total is None


def test_silence_takes_every_event():
    assert silent(Progressed("search", 1, 2)) is None
