"""What every refused command has in common."""

from __future__ import annotations

import re

__all__ = ["refused"]


def refused(said, *words: str) -> None:
    """Assert that a command ended with one sentence that holds every word."""
    assert said.code == 2, said
    lines = [line for line in said.err.splitlines() if line.startswith("automl: ")]
    assert len(lines) == 1, said.err
    assert said.err.splitlines()[-1] == lines[0], said.err
    # Before it only what the run was doing: its folder, its stages and how long they will take.
    noise = [
        t
        for t in said.err.splitlines()[:-1]
        if not re.match(r"run folder |estimate: |[a-z ,0-9]+: \d+ steps ", t)
    ]
    assert noise == []
    assert said.out == ""
    # One sentence: clauses are joined by semicolons and colons; a question mark belongs to a near name.
    text = re.sub(r"'[^']*'|\([^)]*\)|/\S+", "", lines[0])
    assert len(re.findall(r"[.!] +[A-Z]", text)) == 0, lines[0]
    for word in words:
        assert word in lines[0], lines[0]
