from __future__ import annotations

import json
from importlib.metadata import EntryPoint

import pytest

from automl.core.errors import StrategyError
from automl.strategies import table
from automl.strategies.listing import describe
from automl.strategies.listing import describe_all


def plug_in(name, value):
    return lambda group: [EntryPoint(name, value, group)]


def test_every_strategy_describes_itself():
    described = {d.name: d for d in describe_all()}
    assert set(table.list_strategies()) <= set(described)
    assert all(d.info is not None and d.info.summary for d in described.values())
    assert described["exact"].info.needs_tables
    assert described["exhaustive"].aliases == ("grid",)
    assert json.loads(json.dumps([d.as_dict for d in described.values()]))


def test_facts_stand_beside_the_name():
    row = describe("evolutionary").as_dict
    assert (row["name"], row["source"], row["usable"], row["problem"]) == (
        "evolutionary",
        "built in",
        True,
        "",
    )
    assert row["uses_predictions"]
    assert "NSGA-II" in row["paper"]


def test_an_alias_leads_to_its_strategy():
    assert describe("grid") == describe("exhaustive")


def test_a_plug_in_keeps_the_name_it_is_registered_by(monkeypatch):
    monkeypatch.setattr(
        table, "entry_points", plug_in("mine", "automl.strategies.random_search:RandomSearch")
    )
    row = describe("mine").as_dict
    assert row["name"] == "mine"
    assert row["source"].startswith("plug-in from ")
    assert "baseline" in row["summary"]


def test_a_broken_plug_in_is_listed_with_the_reason_and_refused_by_name(monkeypatch):
    monkeypatch.setattr(table, "entry_points", plug_in("mine", "no_such_package:Class"))
    (row,) = [d.as_dict for d in describe_all() if d.name == "mine"]
    assert not row["usable"]
    assert "no_such_package" in row["problem"]
    assert "summary" not in row
    with pytest.raises(StrategyError, match="no_such_package"):
        describe("mine")


def test_an_unknown_name_is_refused():
    with pytest.raises(StrategyError, match="did you mean 'nsga3'"):
        describe("nsga4")
