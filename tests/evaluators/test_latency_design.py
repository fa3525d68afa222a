from __future__ import annotations

import numpy as np
import pytest

from automl.core.errors import SpaceError
from automl.core.rng import child_rng
from automl.evaluators.latency_design import design_candidates
from automl.evaluators.latency_design import draw_codes
from automl.searchspaces.dimension import Dimension
from automl.searchspaces.space import SearchSpace
from tests.evaluators import latency_world as world


def pair_counts(graph, space, candidates):
    counts = []
    codes = space.encode(candidates)
    column = {d.site: i for i, d in enumerate(space.dimensions)}
    for a, b in graph.site_edges:
        table = np.zeros((2, 2))
        np.add.at(table, (codes[:, column[a]], codes[:, column[b]]), 1)
        counts.append(table.min())
    return np.array(counts)


def test_design_starts_with_the_uniform_candidates_in_every_float_type():
    graph = world.make_graph()
    space = world.make_space(graph)
    first = design_candidates(space, graph, 20, 0)[:4]
    kinds = {(c["float:model"], *{v for k, v in c.as_dict.items() if k != "float:model"}) for c in first}
    assert kinds == {(f, o) for f in ("f32", "bf16") for o in ("fp", "w8a8")}


def test_design_is_distinct_and_as_long_as_asked():
    graph = world.make_graph()
    space = world.make_space(graph)
    designed = design_candidates(space, graph, 60, 3)
    assert len(set(designed)) == 60
    assert designed == design_candidates(space, graph, 60, 3)
    assert designed != design_candidates(space, graph, 60, 4)


def test_design_shows_rare_pairs_more_often_than_chance():
    graph = world.make_graph()
    space = world.make_space(graph)
    designed = design_candidates(space, graph, 40, 0)
    drawn = [space.decode(c) for c in draw_codes(space, 36, child_rng(9, "draw"))] + designed[:4]
    assert pair_counts(graph, space, designed).min() >= 4
    assert pair_counts(graph, space, designed).mean() > pair_counts(graph, space, drawn).mean()


def test_options_that_run_alike_are_measured_once():
    graph = world.make_graph()
    space = world.make_space(graph)
    assert all("w4a8" not in c.as_dict.values() for c in design_candidates(space, graph, 30, 0))


def test_small_space_gives_what_it_has():
    graph = world.make_graph()
    space = SearchSpace((Dimension("precision", "stem", ("fp", "w8a8"), "fp"),))
    assert len(design_candidates(space, graph, 50, 0)) == 2


def test_empty_design_is_refused():
    graph = world.make_graph()
    with pytest.raises(SpaceError, match="0 candidates"):
        design_candidates(world.make_space(graph), graph, 0, 0)


def test_draws_contain_runs_and_independent_choices():
    graph = world.make_graph()
    space = world.make_space(graph, with_float=False)
    codes = draw_codes(space, 400, child_rng(0, "draw"))
    borders = np.abs(np.diff(codes, axis=1)).sum(axis=1)
    assert (borders <= 2).mean() > 0.1
    assert (borders >= 6).mean() > 0.1
