from __future__ import annotations

import re
from dataclasses import replace

import pytest

from automl.evaluators.cache import ContentCache
from automl.stages.estimate import announce
from automl.stages.estimate import estimate_text
from automl.stages.estimate import measure_amounts
from automl.stages.estimate import measure_paces
from automl.stages.estimate import suffix_shares
from automl.stages.estimate_math import estimate
from automl.stages.evaluate import CandidateEvaluator
from automl.stages.events import silent
from automl.stages.price import damage_table
from automl.stages.price import fit_latency


@pytest.fixture
def fresh(bench, tmp_path):
    """An evaluator on tables that nobody has filled."""
    return CandidateEvaluator(replace(bench, cache=ContentCache(tmp_path)))


def test_what_follows_the_first_layer_is_everything_and_shares_only_fall(bench):
    shares = [suffix_shares(bench.traced.graph)[site.name] for site in bench.traced.graph.sites]
    assert shares[0] == 1.0
    assert shares == sorted(shares, reverse=True)
    last = bench.traced.graph.sites[-1]
    assert shares[-1] == pytest.approx(last.macs / sum(s.macs for s in bench.traced.graph.sites))


def test_every_option_and_design_is_counted_once_and_none_when_the_tables_are_full(fresh, evaluator):
    new = measure_amounts(fresh)
    assert new.designs >= 8
    assert new.roundings > 0
    options = sum(len(names) - 1 for names in fresh.bench.legality.options.values())
    samples = fresh.bench.config.spend.sensitivity_samples
    assert samples < new.passes <= samples * (options + 1)
    damage_table(evaluator.bench, silent)
    fit_latency(evaluator, silent)
    known = measure_amounts(evaluator)
    assert (known.roundings, known.passes, known.designs) == (0.0, 0.0, 0)
    assert known.trials == new.trials == 24


def test_recorded_trials_are_not_counted_again(evaluator):
    assert measure_amounts(evaluator, recorded=20).trials == 4
    assert measure_amounts(evaluator, recorded=200).trials == 0


def test_paces_come_from_the_clock(evaluator):
    now = iter(range(1000))
    paces = measure_paces(evaluator, clock=lambda: float(next(now)))
    assert paces.write == 1.0
    assert paces.load == 0.0
    assert paces.sample == pytest.approx(1.0 / 8)
    assert paces.rounding == 1.0
    assert paces.run == evaluator.meter.nominal_ms / 1e3


def test_measured_paces_are_positive_seconds(fresh):
    paces = measure_paces(fresh)
    assert all(value > 0 for name, value in vars(paces).items() if name != "load")
    assert sum(estimate(measure_amounts(fresh), paces).values()) > 0


def test_the_line_adds_up_and_names_what_is_counted(evaluator):
    amounts = measure_amounts(evaluator)
    seconds = {"price damage": 30.0, "price latency": 40.0, "search": 90.0, "confirm": 40.0}
    text = estimate_text(replace(amounts, designs=16), seconds, None)
    assert text.startswith("estimate: about 3 min 20 s: price 1 min 10 s (16 mixes to time)")
    assert "search 1 min 30 s (24 trials)" in text
    assert f"confirm 40 s ({amounts.finalists} finalists)" in text
    known = estimate_text(amounts, {**seconds, "price damage": 0.0, "price latency": 0.0}, "4m")
    assert "prices known" in known
    assert known.endswith("the search stops early enough for --time 4m")


def test_a_run_is_announced_in_one_line(evaluator):
    told = []
    announce(evaluator, told.append)
    (event,) = told
    assert event.total is None
    assert re.fullmatch(r"estimate: about [\dhmins ]+: .*\(24 trials\), confirm .*", event.text)
