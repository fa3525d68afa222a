"""One core for each of several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from automl.targets.own_core import claim_core

if TYPE_CHECKING:
    from pathlib import Path

SERVE = """
import os, sys
from pathlib import Path
from automl.targets.own_core import claim_core
print(claim_core([int(c) for c in sys.argv[2:]], Path(sys.argv[1])), len(os.sched_getaffinity(0)), flush=True)
sys.stdin.readline()
"""


class Holder:
    """A process that claims a core and holds it until it is told to end."""

    def __init__(self, folder: Path, cores: list[int]) -> None:
        words = [sys.executable, "-c", SERVE, str(folder), *map(str, cores)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.core, self.n_cores = self.process.stdout.readline().split()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def core() -> int:
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("processes cannot be kept to a core here")
    return min(os.sched_getaffinity(0))


def test_a_claimed_core_is_not_given_twice_and_is_free_again_after_a_kill(tmp_path, core):
    first = Holder(tmp_path, [core])
    second = Holder(tmp_path, [core])
    try:
        assert (first.core, first.n_cores) == (str(core), "1")
        assert second.core == "None"
        assert int(second.n_cores) == len(os.sched_getaffinity(0))
        first.end()
        third = Holder(tmp_path, [core])
        third.end()
        assert third.core == str(core)
    finally:
        first.end()
        second.end()


def test_without_a_place_for_claims_nothing_changes(tmp_path):
    (tmp_path / "file").write_text("")
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    assert claim_core(folder=tmp_path / "file" / "below") is None
    assert before is None or os.sched_getaffinity(0) == before
