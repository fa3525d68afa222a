from __future__ import annotations

import os
import subprocess
import sys

import pytest

from automl.cli import completion


def completed(words: str) -> list[str]:
    """Return what bash would be offered for the last word."""
    environment = {**os.environ, "_AUTOML_COMPLETE": "complete_bash", "COMP_WORDS": words}
    environment["COMP_CWORD"] = str(len(words.split(" ")) - 1)
    done = subprocess.run(
        [sys.executable, "-m", "automl.cli.app"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("automl re", ["resume", "report"]),
        ("automl search --calibration", ["--calibration-data", "--calibration"]),
        ("automl search m --target o", ["openvino", "onnxruntime"]),
        ("automl export run best m --to op", ["openvino"]),
    ],
)
def test_the_shell_completes_commands_options_and_values(words, offered):
    assert sorted(completed(words)) == sorted(offered)


@pytest.mark.parametrize(
    ("offer", "start", "names"),
    [
        (completion.targets, "openv", ["openvino"]),
        (completion.devices, "h", ["h100"]),
        (completion.strategies, "ra", ["random"]),
        (completion.options, "w4a", ["w4a8"]),
        (completion.efforts, "", ["quick", "standard", "full"]),
        (completion.executors, "", ["local", "ray"]),
        (completion.formats, "t", ["torch"]),
        (completion.targets, "zzz", []),
    ],
)
def test_values_come_from_the_tables(offer, start, names):
    assert offer(start) == names


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_every_shell_gets_its_script(shell_name):
    environment = {**os.environ, "_AUTOML_COMPLETE": f"source_{shell_name}"}
    done = subprocess.run(
        [sys.executable, "-m", "automl.cli.app"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "_AUTOML_COMPLETE=complete_" in done.stdout
