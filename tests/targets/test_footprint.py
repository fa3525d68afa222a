"""Readings of this process's own memory, and the order in which a footprint is taken."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import pytest

from automl.core.errors import EvaluationError
from automl.targets import footprint
from automl.targets.footprint import kernel_bytes
from automl.targets.footprint import peak_bytes
from automl.targets.footprint import release_free
from automl.targets.footprint import reset_peak
from automl.targets.footprint import resident_bytes
from automl.targets.footprint import serving_footprint

if TYPE_CHECKING:
    from pathlib import Path

MEGABYTE = 10**6


def block(megabytes: int) -> np.ndarray[Any, Any]:
    """Return touched memory of its own mapping, given back when it is freed.

    The allocator would serve it from what earlier tests left free and resident.
    """
    mapped = mmap.mmap(-1, megabytes * MEGABYTE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    held = np.frombuffer(mapped, np.uint8)
    held[:] = 1
    return held


class Holder:
    """A model that holds ``megabytes`` and works in ``scratch`` more."""

    batch = None

    def __init__(self, megabytes: int, scratch: int = 0, ran: list[int] | None = None) -> None:
        self.held = block(megabytes)
        self.scratch = scratch
        self.ran = ran

    def bind(self, inputs: Any) -> Any:
        return self.step

    def step(self) -> None:
        if self.ran is not None:
            self.ran.append(resident_bytes())
        if self.scratch:
            block(self.scratch).sum()


def test_a_field_of_the_kernel_is_read_in_bytes() -> None:
    table = "55cc-7ffe ---p 00000000 00:00 0   [rollup]\nRss:    1632 kB\nPss:     297 kB\n"
    assert kernel_bytes(table, "Rss") == 1632 * 1024
    with pytest.raises(EvaluationError, match="does not tell 'Swap'"):
        kernel_bytes(table, "Swap")


def test_touched_memory_is_resident_and_freed_memory_is_not() -> None:
    before = resident_bytes()
    held = block(40)
    assert resident_bytes() - before == pytest.approx(40 * MEGABYTE, rel=0.05)
    del held
    release_free()
    assert resident_bytes() - before < 4 * MEGABYTE


def test_the_peak_remembers_what_was_freed_until_it_is_reset() -> None:
    assert reset_peak()
    before = resident_bytes()
    block(60).sum()
    assert peak_bytes() - before > 55 * MEGABYTE
    assert reset_peak()
    assert peak_bytes() - resident_bytes() < 4 * MEGABYTE


def test_a_footprint_is_what_the_model_holds_and_its_peak_what_passed_by() -> None:
    found = serving_footprint(lambda: Holder(30), lambda: Holder(20, scratch=50), [], 2)
    assert found["resident"] == pytest.approx(20 * MEGABYTE, rel=0.1)
    assert found["peak"] == pytest.approx(70 * MEGABYTE, rel=0.1)


def test_the_model_runs_before_each_reading() -> None:
    ran: list[int] = []
    serving_footprint(lambda: Holder(1), lambda: Holder(20, ran=ran), [], 3)
    assert len(ran) == 3 + 3


def test_a_peak_that_cannot_be_reset_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(footprint, "_CLEAR", tmp_path / "absent" / "clear_refs")
    assert serving_footprint(lambda: Holder(1), lambda: Holder(20), [], 1)["peak"] is None


def test_a_model_that_adds_nothing_has_no_footprint() -> None:
    kept = Holder(20)

    def shrink() -> Holder:
        kept.held = block(1)
        return kept

    with pytest.raises(EvaluationError, match="less than can be measured"):
        serving_footprint(lambda: Holder(1), shrink, [], 1)


def test_a_system_that_does_not_tell_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(footprint, "_ROLLUP", tmp_path / "smaps_rollup")
    with pytest.raises(EvaluationError, match=r"No such file.*leave the memory budget out"):
        resident_bytes()
