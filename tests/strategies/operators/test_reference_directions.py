from __future__ import annotations

from math import comb

import numpy as np
import pytest

from automl.core.errors import StrategyError
from automl.strategies.operators.reference_directions import das_dennis
from automl.strategies.operators.reference_directions import default_directions
from automl.strategies.operators.reference_directions import layered_directions
from automl.strategies.operators.reference_directions import n_directions


@pytest.mark.parametrize("n_objectives", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("partitions", [1, 2, 5])
def test_every_grid_point_of_the_simplex_once(n_objectives, partitions):
    directions = das_dennis(n_objectives, partitions)
    assert directions.shape == (comb(partitions + n_objectives - 1, n_objectives - 1), n_objectives)
    assert len(directions) == n_directions(n_objectives, partitions)
    steps = directions * partitions
    assert np.allclose(steps, steps.round())
    assert (directions >= 0).all()
    assert np.allclose(directions.sum(axis=1), 1.0)
    assert len(np.unique(steps.round(), axis=0)) == len(directions)


def test_published_counts():
    assert len(das_dennis(3, 12)) == 91
    assert len(das_dennis(3, 4)) == 15
    assert len(layered_directions(8, 3, 2)) == 156
    assert len(layered_directions(10, 3, 2)) == 275


def test_two_objectives_are_equal_steps():
    assert das_dennis(2, 4).tolist() == [[0, 1], [0.25, 0.75], [0.5, 0.5], [0.75, 0.25], [1, 0]]


def test_inner_layer_lies_halfway_to_the_center():
    layers = layered_directions(5, 2, 1)
    outer, inner = layers[:15], layers[15:]
    assert np.array_equal(outer, das_dennis(5, 2))
    assert np.allclose(inner, 0.5 * das_dennis(5, 1) + 0.1)
    assert np.allclose(layers.sum(axis=1), 1.0)
    assert len(layered_directions(3, 4, 0)) == 15


@pytest.mark.parametrize(("n_objectives", "expected"), [(1, 1), (2, 100), (3, 91), (4, 84), (5, 50), (9, 54)])
def test_default_is_the_finest_set_within_the_number(n_objectives, expected):
    directions = default_directions(n_objectives)
    assert directions.shape == (expected, n_objectives)


def test_default_has_inner_points_from_five_objectives_on():
    assert (default_directions(6) > 0).all(axis=1).any()


def test_where_even_the_coarsest_set_is_larger_it_is_given():
    assert len(default_directions(40)) == 80


@pytest.mark.parametrize(("n_objectives", "partitions"), [(0, 3), (3, 0)])
def test_nothing_to_divide_is_refused(n_objectives, partitions):
    with pytest.raises(StrategyError, match="at least 1"):
        das_dennis(n_objectives, partitions)
