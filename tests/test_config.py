from __future__ import annotations

import pytest

from automl.config import EFFORTS
from automl.config import SearchConfig
from automl.config import make_config
from automl.config import parse_duration
from automl.config import read_config
from automl.core.errors import BudgetError
from automl.core.errors import ConfigError


def test_yaml_round_trip_keeps_every_setting(tmp_path):
    config = make_config({"model": "m", "budget": ["latency=5ms", "drop=1%"], "trials": 7, "time": "2m"})
    path = tmp_path / "c.yaml"
    path.write_text(config.to_yaml())
    assert read_config(path) == config


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90.0), ("10m", 600.0), ("1.5h", 5400.0)])
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["0s", "10", "m", "-1m", "ten minutes"])
def test_unreadable_duration_is_one_sentence(text):
    with pytest.raises(ConfigError, match="give a positive number with s, m or h"):
        parse_duration(text)


def test_unknown_setting_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'budget'"):
        make_config({"model": "m", "budgett": "latency=5ms"})


def test_a_single_budget_may_be_a_string_of_several():
    assert make_config({"model": "m", "budget": "latency=5ms,size=4MB"}).budget == ("latency=5ms", "size=4MB")


def test_budget_errors_keep_their_own_sentence():
    with pytest.raises(BudgetError, match="greater than zero"):
        make_config({"model": "m", "budget": "latency=0ms"})


@pytest.mark.parametrize(
    "bad", [{"trials": 0}, {"workers": 0}, {"time": 90}, {"seed": -1}, {"batch": 0}, {"evaluation": 0}]
)
def test_values_out_of_range_name_the_setting(bad):
    with pytest.raises(ConfigError, match=f"setting {next(iter(bad))}="):
        make_config({"model": "m", **bad})


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"effort": "quik"}, "unknown effort 'quik'; did you mean 'quick'"),
        ({"executor": "rey"}, "unknown executor 'rey'; did you mean 'ray'"),
        ({"model": ""}, "no model is given"),
        ({"trials": 0}, "setting trials=0: it must be at least 1"),
        ({7: 1}, "unknown setting '7'"),
    ],
)
def test_the_sentence_says_what_is_allowed(settings, says):
    with pytest.raises(ConfigError, match=says):
        make_config({"model": "m", **settings})


def test_a_configuration_without_a_model_says_so():
    with pytest.raises(ConfigError, match="no model is given"):
        make_config({})


@pytest.mark.parametrize("budget", [",", ["latency=5ms", ""], [" , "]])
def test_an_empty_budget_is_refused(budget):
    with pytest.raises(BudgetError, match="limits nothing"):
        make_config({"model": "m", "budget": budget})


@pytest.mark.parametrize("budget", [5, [5], {"latency": 5}.items()])
def test_a_budget_that_is_no_text_is_refused(budget):
    with pytest.raises(BudgetError, match="cannot read the budget"):
        make_config({"model": "m", "budget": budget})


@pytest.mark.parametrize("budget", [None, (), [], ""])
def test_no_budget_at_all_is_fine(budget):
    assert make_config({"model": "m", "budget": budget}).budget == ()


def test_budgets_may_come_from_any_iterable():
    assert make_config({"model": "m", "budget": (b for b in ["drop=1%"])}).budget == ("drop=1%",)


def test_reports_artifacts_and_files_get_no_password(tmp_path):
    url = "postgresql://user:hunter2@host:5432/db"
    config = make_config({"model": "m", "storage": url})
    assert config.shown()["storage"] == "postgresql://host/db"
    assert {**config.shown(), "storage": url} == config.model_dump(mode="json")
    assert make_config({"model": "m"}).shown()["storage"] is None
    (tmp_path / "c.yaml").write_text(config.to_yaml())
    assert read_config(tmp_path / "c.yaml").model_dump(mode="json") == config.shown()
    with pytest.raises(ConfigError, match="setting storage") as caught:
        make_config({"model": "m", "storage": [url]})
    assert "hunter2" not in str(caught.value)


def test_identity_ignores_where_a_run_is_executed_and_nothing_else():
    base = SearchConfig(model="m")
    assert (
        base.model_copy(update={"workers": 4, "executor": "ray", "time": "1m"}).identity() == base.identity()
    )
    assert base.model_copy(update={"seed": 1}).identity() != base.identity()


def test_a_data_seed_is_the_seeds_own_until_it_is_given():
    base = make_config({"model": "m", "seed": 3})
    assert base.drawn_seed == 3
    assert make_config({"model": "m", "seed": 3, "data_seed": 3}).identity() == base.identity()
    # a run from before there was such a setting recorded an identity without it
    assert "data_seed" not in base.identity()
    other = make_config({"model": "m", "seed": 3, "data_seed": 0})
    assert (other.drawn_seed, other.identity()["data_seed"]) == (0, 0)


def test_an_estimate_is_limited_in_a_metric_of_its_own():
    base = make_config({"model": "m", "budget": "latency=0.6x,size=4MB"})
    estimated = make_config({"model": "m", "budget": "latency=0.6x,size=4MB", "estimate": "h100"})
    assert [b.metric for b in base.budgets] == ["latency_ms", "size_bytes"]
    assert [b.metric for b in estimated.budgets] == ["estimated_latency_ms", "size_bytes"]
    assert estimated.identity() != base.identity()


def test_trials_default_to_the_effort():
    assert SearchConfig(model="m", effort="quick").n_trials == EFFORTS["quick"].trials
    assert SearchConfig(model="m", trials=3).n_trials == 3


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [1\n", "model: m\nsped: 3\n"])
def test_unusable_files_are_config_errors(tmp_path, content):
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError):
        read_config(path)


def test_missing_file_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        read_config(tmp_path / "none.yaml")


def test_where_and_under_which_limits_a_run_is_executed_does_not_make_it_another_run():
    plain = make_config({"model": "m"})
    moved = make_config(
        {
            "model": "m",
            "executor": "ray",
            "workers": 4,
            "workers_resources": "CPU=2",
            "timing_resource": "timing",
            "trial_time": "5m",
        }
    )
    assert plain.identity() == moved.identity()
    with pytest.raises(ConfigError, match="cannot read the time limit 'soon'"):
        make_config({"model": "m", "trial_time": "soon"})
