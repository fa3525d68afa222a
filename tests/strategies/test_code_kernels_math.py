from __future__ import annotations

import numpy as np
import pytest

from automl.searchspaces.dimension import Dimension
from automl.searchspaces.space import SearchSpace
from automl.strategies.code_kernels_math import KERNELS
from automl.strategies.code_kernels_math import CodeKernels


def drawn(n, cards, seed=0):
    return np.random.default_rng(seed).integers(0, cards, size=(n, len(cards)))


def one_hot(codes, cards):
    columns = [codes[:, d] == o for d, c in enumerate(cards) for o in range(c)]
    return np.stack(columns, axis=1).astype(np.float64)


# pairs of few and of many joint options are computed in different ways
@pytest.mark.parametrize("cards", [[3, 2, 4], [5, 6, 2], [9, 8, 7]])
def test_kernels_are_inner_products_of_indicator_features(cards):
    a, b = drawn(12, cards), drawn(7, cards, seed=1)
    weights = np.array([0.5, 0.3, 0.2])
    single, near, pairs, _ = CodeKernels.plain(cards)(a, b, weights)
    scale = np.sqrt(np.repeat(weights, cards))
    assert np.allclose(single, (one_hot(a, cards) * scale) @ (one_hot(b, cards) * scale).T)
    joint = np.sqrt([0.5 * 0.3, 0.3 * 0.2])
    both = [[(x[d] == y[d]) & (x[d + 1] == y[d + 1]) for d in range(2)] for x in a for y in b]
    assert np.allclose(near, (np.array(both) @ (joint / joint.sum())).reshape(12, 7))
    assert np.allclose(pairs, single**2)


def test_use_counts_options_of_one_kind_and_value_wherever_they_stand():
    space = SearchSpace(
        (
            Dimension("float", "model", ("f32", "bf16"), "f32"),
            Dimension("precision", "a", ("fp", "w8"), "fp"),
            Dimension("precision", "b", ("fp", "w4", "w8"), "fp"),
        )
    )
    kernels = CodeKernels.of(space)
    weights = np.array([0.2, 0.3, 0.5])
    codes = np.array([[0, 0, 0], [1, 1, 2], [0, 1, 1]])
    # fp and w8 are shared by two decisions; w4 and the float types are not
    root = np.sqrt(weights)
    expected = np.array([[root[1] + root[2], 0.0], [0.0, root[1] + root[2]], [0.0, root[1]]])
    assert np.allclose(kernels.use(codes, weights), expected)
    assert np.allclose(kernels(codes, codes, weights)[3], expected @ expected.T)


def test_options_that_no_two_decisions_share_have_no_use():
    kernels = CodeKernels(np.array([2, 2]), np.array([-1, -1, -1, -1]))
    codes = drawn(6, [2, 2])
    assert not kernels(codes, codes, np.array([0.5, 0.5]))[3].any()


def test_equal_codes_are_wholly_alike_and_one_decision_has_no_neighbor():
    codes = drawn(5, [3, 3])
    found = CodeKernels.plain([3, 3])(codes, codes, np.array([0.7, 0.3]))
    assert np.allclose(np.stack([np.diag(k) for k in found[:3]]), 1.0)
    alone = drawn(5, [4])
    single, near, _, _ = CodeKernels.plain([4])(alone, alone, np.ones(1))
    assert np.array_equal(single, near)


def test_mixed_adds_up_and_its_diagonal_is_that_of_the_matrix():
    cards = [3, 2, 4, 3]
    kernels, codes, weights = CodeKernels.plain(cards), drawn(9, cards), np.array([0.4, 0.3, 0.2, 0.1])
    mix = (0.5, 0.2, 0.3, 2.0)
    whole = kernels.mixed(codes, codes, weights, mix)
    assert len(mix) == len(KERNELS)
    assert np.allclose(whole, np.tensordot(mix, kernels(codes, codes, weights), axes=1))
    assert np.allclose(np.diag(whole), kernels.diagonal(codes, weights, mix))
    assert np.allclose(
        kernels.mixed(codes, codes, weights, (1.0, 0.0, 0.0, 0.0)), kernels(codes, codes, weights)[0]
    )
