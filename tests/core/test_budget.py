from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from automl.core.budget import Budget
from automl.core.budget import check_budgets
from automl.core.budget import parse_budget
from automl.core.budget import parse_budgets
from automl.core.budget import total_violation
from automl.core.errors import BudgetError
from tests.core.trials import measured


@pytest.mark.parametrize(
    ("text", "metric", "limit"),
    [
        ("latency=5ms", "latency_ms", 5.0),
        ("latency<=900us", "latency_ms", 0.9),
        ("latency=0.002s", "latency_ms", 2.0),
        (" latency = 5 ms ", "latency_ms", 5.0),
        ("size=4MB", "size_bytes", 4e6),
        ("size=3.5MiB", "size_bytes", 3.5 * 2**20),
        ("size=100KiB", "size_bytes", 102400.0),
        ("memory=1GiB", "memory_bytes", 2.0**30),
        ("memory=512B", "memory_bytes", 512.0),
        ("macs=300M", "macs", 3e8),
        ("macs=1e6", "macs", 1e6),
        ("bops=12G", "bops", 1.2e10),
        ("bops=.5T", "bops", 5e11),
        ("bits=4.0", "weight_bits", 4.0),
        ("bits=3.5bits", "weight_bits", 3.5),
        ("drop=1%", "drop", 0.01),
        ("drop<=0.005", "drop", 0.005),
        ("drop=0%", "drop", 0.0),
        ("kl=0.02", "kl", 0.02),
        ("perplexity=30", "perplexity", 30.0),
    ],
)
def test_upper_limits(text, metric, limit):
    budget = parse_budget(text)
    assert (budget.metric, budget.relative, budget.at_least, budget.hard) == (metric, False, False, True)
    assert budget.limit == pytest.approx(limit)
    assert budget.text == text.strip()


@pytest.mark.parametrize(
    ("text", "metric", "limit"),
    [
        ("accuracy>=0.7", "accuracy", 0.7),
        ("accuracy=70%", "accuracy", 0.7),
        ("agreement>=99%", "agreement", 0.99),
        ("cosine>=0.999", "cosine", 0.999),
        ("psnr>=30dB", "psnr_db", 30.0),
        ("psnr=30", "psnr_db", 30.0),
    ],
)
def test_lower_limits(text, metric, limit):
    budget = parse_budget(text)
    assert (budget.metric, budget.relative, budget.at_least) == (metric, False, True)
    assert budget.limit == pytest.approx(limit)


@pytest.mark.parametrize("name", ["latency", "size", "memory", "macs", "bops", "perplexity"])
@pytest.mark.parametrize(("number", "limit"), [("0.6x", 0.6), ("60%", 0.6), ("1x", 1.0), ("1.5x", 1.5)])
def test_relative_limits(name, number, limit):
    budget = parse_budget(f"{name}={number}")
    assert budget.relative
    assert budget.limit == pytest.approx(limit)


def test_soft_budgets():
    assert not parse_budget("soft:latency=5ms").hard
    assert parse_budget("soft: latency=5ms").metric == "latency_ms"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot read the budget ''"),
        ("latency", "write METRIC=LIMIT"),
        ("latency=", "write METRIC=LIMIT"),
        ("latency=fast", "write METRIC=LIMIT"),
        ("latency==5ms", "write METRIC=LIMIT"),
        ("latency>5ms", "write METRIC=LIMIT"),
        ("latency=5ms extra", "write METRIC=LIMIT"),
        ("latency=nan", "write METRIC=LIMIT"),
        ("5ms", "write METRIC=LIMIT"),
        ("hard:latency=5ms", "write METRIC=LIMIT"),
        ("latancy=5ms", "unknown metric 'latancy'; did you mean 'latency'?"),
        ("Latency=5ms", "did you mean 'latency'?"),
        ("wattage=5", "choose one of: accuracy, agreement"),
        ("latency=1.2.3ms", "'1.2.3' is not a number"),
        ("latency=0ms", "must be greater than zero"),
        ("latency=0x", "must be greater than zero"),
        ("latency=-5ms", "must be greater than zero"),
        ("accuracy>=0", "such as accuracy>=0.7"),
        ("size=1e999MB", "finite"),
        ("size=1e308GB", "finite"),
        ("drop=-1%", "at least zero"),
        ("latency=5", "the unit is missing; use one of ms, us, s, x, %"),
        ("latency=5MB", "unit 'MB' is unknown"),
        ("size=4mb", "unit 'mb' is unknown; did you mean 'MB'?"),
        ("size=4", "the unit is missing"),
        ("bits=4x", "unit 'x' is unknown"),
        ("accuracy>=0.9x", "use one of %"),
        ("kl=1%", "unit '%' is unknown"),
        ("latency>=5ms", "can only be limited with <=; write latency<=5ms"),
        ("accuracy<=0.7", "can only be limited with >=; write accuracy>=0.7"),
        ("drop>=1%", "can only be limited with <="),
        ("accuracy>=70", "fraction between 0 and 1"),
        ("drop=2", "write for example drop=1%"),
        ("drop=150%", "fraction"),
    ],
)
def test_each_error_says_what_to_do(text, words):
    with pytest.raises(BudgetError, match=re.escape(words)) as caught:
        parse_budget(text)
    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=20))
def test_any_text_is_read_or_refused_by_name(text):
    try:
        budget = parse_budget(text)
    except BudgetError:
        return
    assert budget.limit >= 0


@pytest.mark.parametrize(
    "texts", [["latency=5ms", "latency=0.6x"], ["size=4MB,size=3MB"], ["soft:kl=1", "soft:kl=2"]]
)
def test_two_limits_on_one_metric_contradict(texts):
    with pytest.raises(BudgetError, match=r"both limit .*keep the one that is meant"):
        parse_budgets(texts)


def test_a_soft_goal_may_stand_beside_a_hard_limit():
    assert len(parse_budgets(["latency=5ms", "soft:latency=4ms", "size=4MB"])) == 3
    check_budgets([])


def test_commas_and_empty_parts():
    assert [b.text for b in parse_budgets(["latency=5ms, size=4MB,", ""])] == ["latency=5ms", "size=4MB"]
    assert parse_budgets([]) == ()


def test_relative_limits_resolve_against_trial_0():
    budget = parse_budget("latency=60%").resolve(measured(latency_ms=20.0))
    assert (budget.limit, budget.relative) == (pytest.approx(12.0), False)
    assert budget.resolve(measured(kl=1.0)) is budget


def test_resolving_needs_the_metric_of_trial_0():
    with pytest.raises(BudgetError, match="'latency_ms' was not measured for the untouched model"):
        parse_budget("latency=0.6x").resolve(measured(size_bytes=3.0))


def test_violation_is_a_fraction_of_the_limit():
    at_most = parse_budget("latency=4ms")
    assert at_most.violation(measured(latency_ms=5.0)) == pytest.approx(0.25)
    assert at_most.violation(measured(latency_ms=4.0)) == 0.0
    assert at_most.holds(measured(latency_ms=3.0))
    at_least = parse_budget("accuracy>=0.8")
    assert at_least.violation(measured(accuracy=0.6)) == pytest.approx(0.25)
    assert at_least.holds(measured(accuracy=0.9))
    assert not at_least.holds(measured(accuracy=0.79))


def test_zero_drop_is_violated_by_its_value():
    budget = parse_budget("drop=0")
    assert budget.violation(measured(drop=0.02)) == pytest.approx(0.02)
    assert budget.holds(measured(drop=-0.01))


def test_rounding_of_a_sum_does_not_break_a_limit_but_a_millionth_does():
    budget = parse_budget("bits=0.3")
    assert budget.holds(measured(weight_bits=0.1 + 0.2))
    assert not budget.holds(measured(weight_bits=0.3 * (1 + 1e-6)))


def test_violation_needs_a_resolved_budget_and_the_metric():
    with pytest.raises(BudgetError, match="resolve it"):
        parse_budget("latency=0.6x").violation(measured(latency_ms=1.0))
    with pytest.raises(BudgetError, match=r"'latency_ms' was not measured; measured: kl"):
        parse_budget("latency=5ms").violation(measured(kl=1.0))


def test_only_hard_budgets_add_up():
    budgets = parse_budgets(["latency=4ms", "size=2B", "soft:kl=0.1"])
    assert total_violation(budgets, measured(latency_ms=5.0, size_bytes=3.0, kl=9.0)) == pytest.approx(0.75)
    assert total_violation(budgets, measured(latency_ms=4.0, size_bytes=2.0, kl=9.0)) == 0.0
    assert total_violation((), measured(kl=1.0)) == 0.0


def test_budget_is_a_value():
    assert parse_budget("latency=5ms") == Budget("latency=5ms", "latency_ms", 5.0)
