"""A run whose ledger reaches the end of the disk, as a process that may write files of a given size only."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

from automl.ledger import read_ledger

DRIVER = Path(__file__).parents[2] / "experiments" / "kill_resume"

SCRIPT = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from driver import identity, search
outcome = search(Path(sys.argv[2]), "inline", 60, 0.005)
told = {
    "trials": [identity(t) for t in outcome.trials],
    "front": [t.number for t in outcome.front],
    "stopped_by": str(outcome.stopped_by),
    "error": None if outcome.error is None else str(outcome.error),
}
print(json.dumps(told))
"""


def searched(folder: Path, largest_file: int | None = None) -> dict:
    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))

    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(DRIVER), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=limit,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_a_full_disk_keeps_what_was_recorded_and_the_run_goes_on_when_there_is_space(tmp_path):
    whole = searched(tmp_path / "whole")
    size = (tmp_path / "whole" / "ledger.journal").stat().st_size
    cut = searched(tmp_path / "cut", largest_file=size // 2)
    assert cut["stopped_by"] == "error"
    assert "File too large" in cut["error"]
    assert "what was recorded before is kept" in cut["error"]
    kept = read_ledger(tmp_path / "cut" / "ledger.journal").trials
    assert 0 < len(kept) < 60
    assert cut["trials"] == whole["trials"][: len(kept)]
    assert searched(tmp_path / "cut") == whole
