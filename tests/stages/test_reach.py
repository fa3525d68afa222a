from __future__ import annotations

import numpy as np
import pytest

from automl.core.budget import parse_budgets
from automl.core.rng import child_rng
from automl.evaluators.compute import bops
from automl.evaluators.size import size_bytes
from automl.evaluators.size import weight_bits
from automl.searchspaces.builders.precision import assignment_of
from automl.stages.reach import least_counts
from automl.stages.reach import out_of_reach


def reach(bench, *budgets):
    return out_of_reach(bench.traced.graph, bench.legality, parse_budgets(budgets))


def test_no_candidate_counts_less_than_the_bound(bench):
    least = least_counts(bench.traced.graph, bench.legality)
    codes = bench.space.sample(child_rng(0, "reach"), 200)
    for code in np.unique(codes, axis=0):
        precisions, float_type = assignment_of(bench.space.decode(code), bench.space)
        assert size_bytes(bench.traced.graph, precisions) >= least["size_bytes"].value
        assert weight_bits(bench.traced.graph, precisions) >= least["weight_bits"].value
        assert bops(bench.traced.graph, precisions, float_type) >= least["bops"].value


@pytest.mark.parametrize("budget", ["size=100B", "size=0.01x", "bits=0.5", "macs=0.9x", "bops=0.001x"])
def test_a_budget_below_the_bound_is_named_with_the_bound(bench, budget):
    (sentence,) = reach(bench, budget)
    assert f"budget {budget} is out of reach" in sentence
    assert "x of the untouched model" in sentence


def test_budgets_that_may_be_met_wishes_and_measured_metrics_are_silent(bench):
    assert reach(bench, "size=0.5x", "macs=1x", "bits=8", "bops=1x") == []
    assert reach(bench, "soft:size=100B") == []
    assert reach(bench, "latency=0.0001x", "drop=0%") == []
