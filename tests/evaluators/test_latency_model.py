from __future__ import annotations

import json
import math

import numpy as np
import pytest

from automl.core.errors import EvaluationError
from automl.core.rng import child_rng
from automl.evaluators.latency_design import design_candidates
from automl.evaluators.latency_math import kendall_tau
from automl.evaluators.latency_math import mape
from automl.evaluators.latency_model import LatencyModel
from automl.evaluators.latency_model import LatencyObservation
from automl.evaluators.latency_plain import PlainSum
from automl.targets.base import NodeProfile
from tests.evaluators import latency_world as world


def observations(count, seed=0):
    graph = world.make_graph()
    space = world.make_space(graph)
    noise = child_rng(seed, "noise")
    made = []
    for candidate in design_candidates(space, graph, count, seed):
        options = candidate.as_dict
        precisions = {s.name: str(options[f"precision:{s.name}"]) for s in graph.sites}
        made.append(world.observe(graph, precisions, str(options["float:model"]), noise))
    return graph, space, made


@pytest.fixture(scope="module")
def fitted():
    graph, space, made = observations(120)
    return graph, space, made, LatencyModel.fit(graph, made, seed=0)


def held_out(graph):
    mixes = world.random_assignments(graph, 60, seed=5)
    truth = np.array([world.true_ms(graph, *m) for m in mixes])
    return [p for p, _ in mixes], [f for _, f in mixes], truth


def test_borders_and_joins_are_learned_from_noisy_profiles(fitted):
    graph, _, _, model = fitted
    precisions, floats, truth = held_out(graph)
    predicted, _ = model.predict(precisions, floats)
    assert mape(predicted, truth) < 0.03
    assert kendall_tau(predicted, truth) > 0.93


def test_the_plain_sum_is_beaten_by_far(fitted):
    graph, _, made, model = fitted
    precisions, floats, truth = held_out(graph)
    plain = PlainSum.from_profiles(graph, made).predict(precisions, floats)
    predicted, _ = model.predict(precisions, floats)
    assert mape(predicted, truth) < 0.3 * mape(plain, truth)


def test_one_border_costs_what_it_costs(fitted):
    graph, _, _, model = fitted
    half = {s.name: "w8a8" if i <= 6 else "fp" for i, s in enumerate(graph.sites)}
    mean, _ = model.predict([half], ["f32"])
    assert mean[0] == pytest.approx(world.true_ms(graph, half, "f32"), rel=0.04)


def test_batch_predictions_equal_single_ones(fitted):
    graph, _, _, model = fitted
    precisions, floats, _ = held_out(graph)
    mean, deviation = model.predict(precisions, floats)
    for i in (0, 7, 31):
        one, spread = model.predict([precisions[i]], [floats[i]])
        assert one[0] == pytest.approx(mean[i], rel=1e-12)
        assert spread[0] == pytest.approx(deviation[i], rel=1e-9)


def test_codes_of_a_space_predict_like_options_and_low_bits_like_eight(fitted):
    graph, space, _, model = fitted
    codes = space.sample(child_rng(3, "codes"), 40)
    mean, _ = model.predict_codes(space, codes)
    options = [space.decode(c).as_dict for c in codes]
    named, _ = model.predict(
        [{s.name: str(o[f"precision:{s.name}"]) for s in graph.sites} for o in options],
        [str(o["float:model"]) for o in options],
    )
    assert np.allclose(mean, named)


def test_deviations_cover_the_errors(fitted):
    graph, _, _, model = fitted
    precisions, floats, truth = held_out(graph)
    mean, deviation = model.predict(precisions, floats)
    assert (deviation > 0).all()
    assert np.mean(np.abs(mean - truth) <= 2 * deviation) >= 0.9


def test_held_out_error_is_that_of_candidates_that_took_no_part(fitted):
    *_, made, model = fitted
    assert model.held_out.n == len(made)
    assert 0.005 < model.held_out.mape < 0.05
    assert model.held_out.kendall_tau > 0.9


def test_json_round_trip_predicts_the_same(fitted):
    _, space, _, model = fitted
    codes = space.sample(child_rng(4, "codes"), 10)
    again = LatencyModel.from_json(json.loads(json.dumps(model.to_json())))
    for a, b in zip(again.predict_codes(space, codes), model.predict_codes(space, codes), strict=True):
        assert np.array_equal(a, b)
    assert again.held_out == model.held_out


def test_another_schema_is_refused(fitted):
    stored = fitted[-1].to_json() | {"schema": 99}
    with pytest.raises(EvaluationError, match="schema 99"):
        LatencyModel.from_json(stored)


def test_same_seed_gives_the_same_model():
    graph, space, made = observations(40)
    codes = space.sample(child_rng(0, "codes"), 5)
    first, second = (LatencyModel.fit(graph, made, seed=1).predict_codes(space, codes) for _ in range(2))
    assert np.array_equal(first[0], second[0])


def test_profile_scale_does_not_matter_because_totals_set_it():
    graph, space, made = observations(40)
    slowed = [
        LatencyObservation(
            o.precisions,
            o.float_type,
            o.timing_ms,
            tuple(NodeProfile(p.name, p.op, p.precision, 3.0 * p.ms, p.origins) for p in o.profile),
        )
        for o in made
    ]
    codes = space.sample(child_rng(0, "codes"), 5)
    a = LatencyModel.fit(graph, made).predict_codes(space, codes)[0]
    b = LatencyModel.fit(graph, slowed).predict_codes(space, codes)[0]
    assert np.allclose(a, b)


def test_more_data_means_less_error():
    graph, _, few = observations(16, seed=2)
    _, _, many = observations(100, seed=2)
    precisions, floats, truth = held_out(graph)
    errors = [mape(LatencyModel.fit(graph, o).predict(precisions, floats)[0], truth) for o in (few, many)]
    assert errors[1] < errors[0]


def test_too_few_observations_are_refused():
    graph, _, made = observations(10)
    with pytest.raises(EvaluationError, match="at least 8"):
        LatencyModel.fit(graph, made[:7])


def test_profiles_of_another_graph_are_refused():
    graph, _, made = observations(10)
    foreign = (NodeProfile("zzz", "Convolution", "f32", 1.0, ()),)
    broken = [LatencyObservation(o.precisions, o.float_type, o.timing_ms, foreign) for o in made]
    with pytest.raises(EvaluationError, match="names no node of the graph"):
        LatencyModel.fit(graph, broken)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_observation_needs_a_positive_time(value):
    with pytest.raises(EvaluationError, match="positive and finite"):
        LatencyObservation({}, "f32", value, ())


def test_observation_json_round_trip():
    _, _, made = observations(4)
    again = LatencyObservation.from_json(json.loads(json.dumps(made[3].to_json())))
    assert again.profile == made[3].profile
    assert again.precisions == made[3].precisions


def test_thousands_of_candidates_are_cheap(fitted):
    _, space, _, model = fitted
    codes = space.sample(child_rng(0, "many"), 5000)
    mean, _ = model.predict_codes(space, codes)
    assert mean.shape == (5000,)
    assert (mean > 0).all()


def test_weight_only_options_have_levels_of_their_own_and_no_borders():
    graph = world.make_graph()
    rng = child_rng(0, "weight only")
    cost = {"fp": 2.0, "w8": 1.0, "w4g64": 0.7}

    def seen(options):
        nodes = tuple(
            NodeProfile(s.node, "FullyConnected", options[s.name], cost[options[s.name]], (s.node,))
            for s in graph.sites
        )
        return LatencyObservation(options, "f32", sum(n.ms for n in nodes), nodes)

    made = [seen({s.name: str(rng.choice(list(cost))) for s in graph.sites}) for _ in range(40)]
    asked = {s.name: ("w4g64" if i % 2 else "w8") for i, s in enumerate(graph.sites)}
    mean, _ = LatencyModel.fit(graph, made).predict([asked], ["f32"])
    assert mean[0] == pytest.approx(sum(cost[o] for o in asked.values()), rel=0.02)
