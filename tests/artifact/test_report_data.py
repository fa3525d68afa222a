from __future__ import annotations

import json
from dataclasses import replace

import pytest

from automl.core.errors import ConfigError
from automl.core.served import ServedSite
from tests.artifact.runs import example_run


def test_trial_zero_is_required():
    data = example_run()
    with pytest.raises(ConfigError, match="trial 0"):
        replace(data, trials=data.trials[1:])


def test_repeated_numbers_are_refused():
    data = example_run()
    with pytest.raises(ConfigError, match="distinct"):
        replace(data, trials=(*data.trials, data.trials[0]))


def test_choices_belong_to_front_members():
    data = example_run()
    with pytest.raises(ConfigError, match=r"\[1\] that are not on the front"):
        replace(data, choices={**data.choices, 1: data.choices[55]})


def test_budgets_of_unconfirmed_trials_come_from_their_figures():
    data = example_run()
    trials = tuple(replace(t, budgets={}) for t in data.trials)
    rows = {r["number"]: r for r in replace(data, trials=trials).to_json()["trials"]}
    assert rows[15]["budgets"] == {"latency=0.7x": True, "accuracy>=0.84": True}
    assert rows[65]["budgets"] == {"latency=0.7x": False, "accuracy>=0.84": True}
    assert rows[29]["budgets"] == {}


def test_two_objectives_are_needed():
    with pytest.raises(ConfigError, match="two objectives"):
        replace(example_run(), objectives=("latency_ms",))


def test_json_carries_figures_as_text_and_direction():
    body = json.loads(json.dumps(example_run().to_json()))
    assert body["trials"][0]["metrics"]["latency_ms"]["text"] == "6.30 ms"
    assert body["metrics"]["accuracy"] == {
        "label": "accuracy",
        "maximize": True,
        "factor": 100.0,
        "unit": "%",
    }
    assert body["budgets"][0]["limit_text"] == "4.41 ms"
    assert set(body["choices"]) == {"5", "15", "25", "35", "45", "55", "65", "75"}


def test_kernels_are_listed_by_trial_as_plain_json():
    site = ServedSite("head", "w8a8", "w8a8_linear", "cpu", "a reason", (("triton", "no GPU"),))
    body = json.loads(json.dumps(replace(example_run(), served={15: (site,)}).to_json()))
    assert body["served"] == {"15": [site.to_json()]}
