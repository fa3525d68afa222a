from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from automl.strategies.table import list_strategies

ROOT = Path(__file__).resolve().parents[2]

PLUG_IN = '''
from automl.strategies.base import StrategyInfo
from automl.strategies.random_search import RandomSearch


class Tiny(RandomSearch):
    """Random search under another name."""

    info = StrategyInfo(name="tiny", summary="a strategy of somebody else", finite=True)
'''


@pytest.fixture
def with_plug_in(tmp_path):
    """The environment of a process in which a package with a strategy is installed."""
    site = tmp_path / "site"
    facts = site / "tiny_strategies-1.0.dist-info"
    facts.mkdir(parents=True)
    (site / "tiny_strategies.py").write_text(PLUG_IN)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-strategies\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[automl.strategies]\ntiny = tiny_strategies:Tiny\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}


def automl(environment, *arguments):
    """Run a command in a process of its own and return what it did."""
    command = [sys.executable, "-m", "automl.cli.app", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_list_names_every_strategy(shell):
    said = shell("strategies")
    assert said.code == 0
    assert all(name in said.out for name in list_strategies())


def test_json_has_the_facts_of_every_strategy(shell):
    said = shell("strategies", "--json")
    assert said.code == 0
    assert said.out.count("\n") == 1
    rows = {row["name"]: row for row in json.loads(said.out)["strategies"]}
    assert set(rows) == set(list_strategies())
    for row in rows.values():
        assert row["usable"], row
        assert {"summary", "paper", "needs_tables", "finite", "multi_objective", "uses_tables"} <= set(row)


def test_one_strategy_is_shown_in_detail(shell):
    said = shell("strategies", "nsga3")
    assert said.code == 0
    assert "10.1109/TEVC.2013.2281535" in said.out
    (row,) = json.loads(shell("strategies", "grid", "--json").out)["strategies"]
    assert (row["name"], row["aliases"]) == ("exhaustive", ["grid"])


def test_an_unknown_strategy_is_bad_input(shell):
    said = shell("strategies", "nsga4")
    assert said.code == 2
    assert "did you mean 'nsga3'" in said.err


def test_the_plain_list_imports_no_strategy(with_plug_in):
    code = (
        "import sys; sys.argv = ['automl', 'strategies']\n"
        "from automl.cli.app import app\n"
        "try:\n    app()\nexcept SystemExit:\n    pass\n"
        "bad = {'tiny_strategies', 'automl.strategies.nsga3', 'automl.strategies.exact'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=with_plug_in, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "plug-in from tiny-strategies" in done.stdout


def test_an_installed_plug_in_is_described_and_searches(
    with_plug_in, digits_data, digits_run, shared_cache, tmp_path
):
    # digits_run has filled the tables, so that the search begins within seconds
    listed = automl(with_plug_in, "strategies", "--json")
    assert listed.returncode == 0, listed.stderr
    (row,) = [r for r in json.loads(listed.stdout)["strategies"] if r["name"] == "tiny"]
    assert row["summary"] == "a strategy of somebody else"
    assert row["source"] == "plug-in from tiny-strategies"
    folder = tmp_path / "run"
    given = ["--data", digits_data, "--budget", "latency=1.5x", "--budget", "drop=5%", "--effort", "quick"]
    given += ["--trials", "9", "--calibration", "64", "--evaluation", "200", "--cache", shared_cache]
    done = automl(
        with_plug_in, "search", "tests.digits:build", "--strategy", "tiny", "--run", folder, "--json", *given
    )
    assert done.returncode in (0, 3), done.stderr
    from automl.ledger import read_ledger

    trials = read_ledger(folder / "ledger.journal", study_name=folder.name).trials
    assert len(trials) == 9
    assert "tiny" in {t.origin for t in trials}
