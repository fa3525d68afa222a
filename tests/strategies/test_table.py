from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest

from automl.core.candidate import Candidate
from automl.core.errors import StrategyError
from automl.strategies import table
from automl.strategies.base import Strategy
from automl.strategies.random_search import RandomSearch
from automl.testing.problems import additive_problem


class Astray(RandomSearch):
    """Proposes options that do not exist."""

    def ask(self, count):
        return [Candidate.of({f"level:site{i:04d}": 9 for i in range(4)})]


@pytest.mark.parametrize("name", table.STRATEGIES)
def test_every_row_leads_to_its_class(name):
    found = table.strategy_class(name)
    assert found.info.name == name
    assert found.info.summary == table.STRATEGIES[name].summary
    assert isinstance(table.make_strategy(name, additive_problem(4).problem), Strategy)


def test_unknown_name_tells_the_nearest_and_all():
    with pytest.raises(StrategyError, match=r"'evolution'; did you mean 'evolutionary'.*exact.*random"):
        table.make_strategy("evolution", additive_problem(4).problem)


def test_a_family_serves_members_that_have_no_row():
    assert table.strategy_class("optuna:bruteforce").info.name == "optuna:bruteforce"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("optuna:tpf", "did you mean 'tpe'"),
        ("exact:fast", "'exact' has no variants such as 'fast'"),
        ("x:y", "unknown"),
    ],
)
def test_a_variant_that_does_not_exist_is_refused(name, told):
    with pytest.raises(StrategyError, match=told):
        table.strategy_class(name)


def test_missing_prices_are_told_before_the_strategy_is_built():
    problem = replace(additive_problem(4).problem, tables=None)
    with pytest.raises(StrategyError, match="'exact' needs additive prices"):
        table.make_strategy("exact", problem)


def test_listing_imports_no_strategy():
    code = (
        "import sys; from automl.strategies.table import list_strategies; names = list_strategies();"
        "assert {'random', 'exact', 'evolutionary'} <= set(names), names;"
        "bad = {'scipy', 'torch', 'optuna', 'automl.strategies.exact'} & set(sys.modules);"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def plug_in(value):
    return lambda group: [EntryPoint("mine", value, group)]


def test_plug_ins_are_listed_and_built(monkeypatch):
    monkeypatch.setattr(table, "entry_points", plug_in("automl.strategies.random_search:RandomSearch"))
    assert "mine" in table.list_strategies()
    strategy = table.make_strategy("mine", additive_problem(4).problem)
    assert len(strategy.ask(3)) == 3


def test_a_plug_in_that_leaves_the_space_is_named(monkeypatch):
    monkeypatch.setattr(table, "entry_points", plug_in("tests.strategies.test_table:Astray"))
    strategy = table.make_strategy("mine", additive_problem(4).problem)
    with pytest.raises(StrategyError, match="strategy random left the search space"):
        strategy.ask(1)


@pytest.mark.parametrize("path", ["no_such_package:Class", "automl.strategies.exact:Nothing"])
def test_a_broken_plug_in_is_named(monkeypatch, path):
    monkeypatch.setattr(table, "entry_points", plug_in(path))
    with pytest.raises(StrategyError, match="'mine' at"):
        table.strategy_class("mine")


def test_a_plug_in_without_info_is_refused(monkeypatch):
    monkeypatch.setattr(table, "entry_points", plug_in("automl.core.candidate:Candidate"))
    with pytest.raises(StrategyError, match="StrategyInfo"):
        table.strategy_class("mine")
