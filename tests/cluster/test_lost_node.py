"""The Ray node of the driver's own machine is killed: Ray ends the driver, a sentence stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ray

SCRIPT = """
import threading, time
import psutil
from automl.execution.base import Job
from automl.execution.ray_executor import RayExecutor
from automl.testing.executor_suite import act, build_state

def kill():
    time.sleep(1.0)
    for child in psutil.Process().children(recursive=True):
        if child.name() == "raylet":
            child.kill()

executor = RayExecutor(1, on_lost="the node is gone; go on with automl resume runs/x")
executor.start(build_state, act)
executor.submit(Job("ready", {"add": 1}))
print(next(executor.completions()).value, flush=True)
executor.submit(Job("long", {"sleep": 600.0}))
threading.Thread(target=kill).start()
list(executor.completions())
"""


def test_a_driver_whose_node_is_killed_ends_with_a_sentence_and_a_status():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.startswith("1\n")
    assert "the node is gone; go on with automl resume runs/x" in done.stderr.splitlines()
    assert done.returncode != 0
