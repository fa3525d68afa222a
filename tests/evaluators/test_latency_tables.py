from __future__ import annotations

import numpy as np
import pytest

from automl.core.rng import child_rng
from automl.evaluators.latency_math import kendall_tau
from automl.evaluators.latency_model import LatencyModel
from automl.evaluators.latency_tables import latency_tables
from tests.evaluators import latency_world as world
from tests.evaluators.test_latency_model import observations


@pytest.fixture(scope="module")
def model():
    graph, _, made = observations(100)
    return LatencyModel.fit(graph, made)


@pytest.mark.parametrize("float_type", ["f32", "bf16"])
def test_tables_reproduce_the_model_for_one_float_type(model, float_type):
    space = world.make_space(world.make_graph(), with_float=False)
    tables = latency_tables(model, space, float_type=float_type)
    codes = space.sample(child_rng(1, "codes"), 200)
    mean, _ = model.predict_codes(space, codes, float_type)
    assert tables.error < 0.02
    assert np.mean(np.abs(tables.predict(codes) / mean - 1)) < 0.03
    assert kendall_tau(tables.predict(codes), mean) > 0.9


def test_tables_keep_the_border_as_a_pair_term(model):
    graph = world.make_graph()
    space = world.make_space(graph, with_float=False)
    tables = model.tables(space)
    half = np.array([[1] * 7 + [0] * (len(space) - 7)])
    assert tables.predict(half)[0] == pytest.approx(
        world.true_ms(graph, {s.name: "w8a8" if i < 7 else "fp" for i, s in enumerate(graph.sites)}, "f32"),
        rel=0.05,
    )


def test_options_of_one_class_have_equal_terms(model):
    space = world.make_space(world.make_graph())
    tables = model.tables(space)
    for values in tables.unary[1:]:
        assert values[1] == values[2]
    for (i, _), values in tables.pairwise.items():
        if i > 0:
            assert np.array_equal(values[1], values[2])


def test_float_dimension_gets_pair_terms_with_sites(model):
    space = world.make_space(world.make_graph())
    tables = model.tables(space)
    assert any(i == 0 for i, _ in tables.pairwise)
    codes = space.sample(child_rng(2, "codes"), 200)
    mean, _ = model.predict_codes(space, codes)
    assert np.mean(np.abs(tables.predict(codes) / mean - 1)) < 0.06


def test_fewer_pairs_on_request(model):
    space = world.make_space(world.make_graph(), with_float=False)
    few = latency_tables(model, space, max_pairs=5)
    assert len(few.pairwise) == 5
    assert few.error > latency_tables(model, space).error


def test_layout_is_that_of_the_additive_tables(model):
    space = world.make_space(world.make_graph())
    tables = model.tables(space)
    assert [len(u) for u in tables.unary] == list(space.cardinalities)
    assert all(
        i < j and v.shape == (len(tables.unary[i]), len(tables.unary[j]))
        for (i, j), v in tables.pairwise.items()
    )
