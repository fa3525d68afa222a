from __future__ import annotations

import pytest

from automl.core.errors import EvaluationError
from automl.evaluators.latency_model import LatencyObservation
from automl.evaluators.latency_plain import PlainSum
from tests.evaluators import latency_world as world


def exact(graph, precisions, float_type):
    return LatencyObservation(
        precisions,
        float_type,
        world.true_ms(graph, precisions, float_type),
        world.executed_nodes(graph, precisions, float_type),
    )


def uniform(graph, option):
    return {s.name: option for s in graph.sites}


def test_uniform_candidates_are_priced_exactly_from_profiles():
    graph = world.make_graph()
    seen = [exact(graph, uniform(graph, o), f) for o in ("fp", "w8a8") for f in ("f32", "bf16")]
    plain = PlainSum.from_profiles(graph, seen)
    for observation in seen:
        predicted = plain.predict([observation.precisions], [observation.float_type])
        assert predicted[0] == pytest.approx(observation.timing_ms)


def test_borders_are_missing_from_the_sum():
    graph = world.make_graph()
    seen = [exact(graph, uniform(graph, o), "f32") for o in ("fp", "w8a8")]
    alternating = {s.name: "w8a8" if i % 2 else "fp" for i, s in enumerate(graph.sites)}
    predicted = PlainSum.from_profiles(graph, seen).predict([alternating], ["f32"])
    assert predicted[0] < 0.85 * world.true_ms(graph, alternating, "f32")


def test_single_changes_carry_their_own_borders():
    graph = world.make_graph()
    singles = [{"block2.a": "w8a8"}, {"block4.b": "w8a8"}]
    seen = [exact(graph, p, "f32") for p in ({}, *singles)]
    plain = PlainSum.from_changes(seen)
    both = plain.predict([{"block2.a": "w8a8", "block4.b": "w4a8"}], ["f32"])
    expected = sum(o.timing_ms for o in seen[1:]) - seen[0].timing_ms
    assert both[0] == pytest.approx(expected)


def test_without_the_untouched_model_there_is_no_sum():
    graph = world.make_graph()
    with pytest.raises(EvaluationError, match="untouched model"):
        PlainSum.from_profiles(graph, [exact(graph, uniform(graph, "w8a8"), "f32")])


def test_unknown_float_type_is_refused():
    graph = world.make_graph()
    plain = PlainSum.from_changes([exact(graph, {}, "f32")])
    with pytest.raises(EvaluationError, match="bf16"):
        plain.predict([{}], ["bf16"])
