from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from automl.core.budget import parse_budget
from automl.evaluators.size import size_bytes
from automl.searchspaces.builders.precision import assignment_of
from automl.searchspaces.dimension import Dimension
from automl.searchspaces.space import SearchSpace
from automl.stages.events import silent
from automl.stages.price import damage_samples
from automl.stages.price import price
from automl.stages.price import site_damage
from automl.stages.problem import additive_tables
from automl.stages.problem import build_problem
from automl.stages.problem import objectives_of
from automl.stages.problem import relaxed_quality
from automl.stages.problem import uniform_candidates


@pytest.fixture(scope="module")
def prices(evaluator):
    return price(evaluator, silent)


def test_size_becomes_an_axis_when_it_is_limited(bench):
    assert [o.metric for o in objectives_of(bench)] == ["accuracy", "latency_ms", "size_bytes"]


def test_uniform_candidates_start_with_the_untouched_model(bench):
    named = uniform_candidates(bench.space)
    assert named[0][1] == bench.space.default
    assert len({c.digest for _, c in named}) == len(named)
    assert any(name.startswith("uniform w4a8") for name, _ in named)


def test_options_that_few_sites_offer_can_be_left_out():
    everywhere = [Dimension("precision", site, ("fp", "w8a8"), "fp") for site in "abc"]
    space = SearchSpace((*everywhere, Dimension("precision", "head", ("fp", "w8a8", "w4g64"), "fp")))

    def options(least_share):
        return [name.split()[1] for name, _ in uniform_candidates(space, least_share=least_share)]

    assert options(0.0) == options(0.25) == ["fp,", "w8a8,", "w4g64,"]
    assert options(0.5) == ["fp,", "w8a8,"]


def test_size_table_equals_the_size_of_any_candidate(bench, prices):
    tables = additive_tables(bench, prices, bench.space, None)
    codes = bench.space.sample(np.random.default_rng(0), 20)
    for code in codes:
        precisions, _ = assignment_of(bench.space.decode(code), bench.space)
        predicted = tables.predict("size_bytes", code[None])[0]
        assert predicted == size_bytes(bench.traced.graph, precisions)


def test_the_problem_has_seeds_and_predicts_every_objective(bench, prices):
    objectives = objectives_of(bench)
    reference = {"size_bytes": 1e5}
    budgets = tuple(b for b in bench.config.budgets if b.metric not in reference)
    problem = build_problem(bench, prices, objectives, budgets, seed=3)
    assert len({c.digest for c in problem.seeds}) == len(problem.seeds) > 5
    codes = bench.space.sample(np.random.default_rng(1), 7)
    predicted = problem.predict(codes)
    assert predicted.shape == (7, 3)
    assert (predicted[:, 1] > 0).all()


def test_the_relaxed_loss_of_whole_options_is_their_damage(bench, prices):
    loss = relaxed_quality(bench, prices)
    space = bench.space
    width = int(space.cardinalities.max())
    row = next(i for i, d in enumerate(space.dimensions) if d.kind == "precision" and len(d.sites) == 1)
    column = [str(o) for o in space.dimensions[row].options].index("w2a8")
    code = space.default_code.copy()
    code[row] = column
    batches = -(-damage_samples(bench) // 4)
    values = [loss(np.eye(width)[code], step)[0] for step in range(batches)]
    expected = site_damage(prices, space.dimensions[row].sites, "w2a8")
    assert np.mean(values) == pytest.approx(expected, rel=0.02)


@pytest.fixture(scope="module")
def limited(bench):
    """The workbench under a memory budget."""
    config = bench.config.model_copy(update={"budget": ("memory=0.6x", "size=0.4x")})
    return replace(bench, config=config)


def test_memory_becomes_an_axis_of_its_own_when_it_is_limited(limited):
    assert [o.metric for o in objectives_of(limited)] == [
        "accuracy",
        "latency_ms",
        "size_bytes",
        "memory_bytes",
    ]


def test_memory_is_not_predicted_and_seeds_are_found_without_a_price_for_it(limited, prices):
    objectives = objectives_of(limited)
    budgets = (parse_budget("memory=1MB"), parse_budget("size=20KB"))
    problem = build_problem(limited, prices, objectives, budgets, seed=3)
    assert problem.tables is not None
    assert "memory_bytes" not in problem.tables.unary
    predicted = problem.predict(limited.space.sample(np.random.default_rng(1), 7))
    assert np.isnan(predicted[:, 3]).all()
    assert np.isfinite(predicted[:, :3]).all()
    without = build_problem(limited, prices, objectives[:3], budgets[1:], seed=3)
    assert problem.seeds == without.seeds
