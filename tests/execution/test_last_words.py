from __future__ import annotations

import subprocess
import sys
import time

import pytest

SCRIPT = """
import os, signal, sys
from automl.execution.last_words import LastWords
words = LastWords("the node is gone; go on with automl resume runs/x")
{end}
"""


def said(end):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(end=end)], stderr=subprocess.PIPE, check=False, timeout=60
    )
    return done.stderr.decode()


@pytest.mark.parametrize("end", ["os._exit(1)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_process_that_is_ended_leaves_its_last_words(end):
    assert said(end) == "the node is gone; go on with automl resume runs/x\n"


@pytest.mark.parametrize("end", ["words.dismiss()\nwords.dismiss()\nos._exit(1)", "sys.exit(3)", "pass"])
def test_a_process_that_ends_by_itself_says_nothing_more(end):
    assert said(end) == ""


def test_a_child_that_lives_on_does_not_hold_the_words_back():
    child = "import subprocess\nsubprocess.Popen(['sleep', '30'], stderr=subprocess.DEVNULL)\n"
    began = time.monotonic()
    assert said(f"{child}os._exit(1)").startswith("the node is gone")
    assert time.monotonic() - began < 25
