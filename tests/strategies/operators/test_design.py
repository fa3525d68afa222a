from __future__ import annotations

import numpy as np

from automl.searchspaces.dimension import Dimension
from automl.searchspaces.space import SearchSpace
from automl.strategies.operators.design import mixed_design
from automl.strategies.operators.design import uniform_codes
from automl.testing.problems import conditional_problem


def precision_space(n):
    body = [Dimension("precision", f"b{i}", ("fp", "w8"), "fp") for i in range(n)]
    last = Dimension("precision", "last", ("fp", "w4", "w8"), "fp")
    return SearchSpace((Dimension("float", "model", ("f32", "bf16"), "f32"), *body, last))


def test_uniform_codes_take_each_common_option_wherever_it_is_offered():
    found = {tuple(code) for code in uniform_codes(precision_space(3)).tolist()}
    # w4 is offered by one site of four, so it makes no uniform configuration
    assert found == {(f, p, p, p, 2 * p) for f in (0, 1) for p in (0, 1)}


def test_a_kind_without_common_options_goes_from_first_to_last():
    space = SearchSpace(
        tuple(Dimension("width", f"c{i}", (64 + i, 32 + i, 16 + i), 64 + i) for i in range(5))
    )
    assert uniform_codes(space).tolist() == [[0] * 5, [2] * 5]


def test_many_kinds_are_moved_one_at_a_time():
    space = SearchSpace(tuple(Dimension(f"k{i}", "model", (0, 1, 2), 0) for i in range(6)))
    found = uniform_codes(space)
    assert len(found) == 13
    assert ((found != 0).sum(axis=1) <= 1).all()


def test_shares_of_mixes_cover_the_range_that_random_codes_miss():
    space = precision_space(60)
    design = mixed_design(space, np.random.default_rng(0), 24)
    drawn = space.sample(np.random.default_rng(0), 24)
    used, plain = (np.sort((codes[:, 1:] != 0).mean(axis=1)) for codes in (design, drawn))
    assert used[0] < 0.15
    assert used[-1] > 0.85
    assert plain[0] > 0.3
    assert plain[-1] < 0.7


def test_design_is_of_members_and_begins_with_uniform_ones():
    space = conditional_problem().problem.space
    design = mixed_design(space, np.random.default_rng(1), 16)
    assert design.shape == (16, len(space))
    assert np.array_equal(design, space.repair(design))
    uniform = {tuple(code) for code in uniform_codes(space).tolist()}
    assert tuple(design[0]) in uniform
    assert sum(tuple(code) in uniform for code in design.tolist()) >= min(len(uniform) - 1, 8)


def test_spaces_of_one_decision_or_one_option_are_survived():
    for options in ((0, 1, 2), (0,)):
        space = SearchSpace((Dimension("k", "model", options, 0),))
        assert mixed_design(space, np.random.default_rng(0), 6).shape == (6, 1)
        assert mixed_design(space, np.random.default_rng(0), 0).shape == (0, 1)
