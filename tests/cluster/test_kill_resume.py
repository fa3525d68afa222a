"""The small version of experiments/kill_resume: three drivers killed at random moments."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "experiments" / "kill_resume" / "run.py"


def test_killed_runs_end_with_the_trials_and_front_of_the_uninterrupted_run(tmp_path):
    results = tmp_path / "results.json"
    options = ["--kills", "3", "--trials", "40", "--executors", "inline", "--results", str(results)]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *options], capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    row = json.loads(results.read_text())["inline"]
    assert len(row["driver"]) == 3
    assert all(kill["wrong"] == [] for kill in row["driver"])
    assert row["undisturbed"] == row["again"]["wrong"] == []
