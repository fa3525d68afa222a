from __future__ import annotations

import numpy as np
import pytest

from automl.strategies.operators.dedup import code_keys
from automl.strategies.operators.mutation import GeneMutation
from automl.strategies.operators.mutation import Genes
from automl.strategies.policy import Policy
from automl.strategies.policy import PolicyShape
from automl.strategies.policy_mutation import MixedMutation
from automl.strategies.policy_mutation import PolicyMutation
from automl.strategies.policy_mutation import drawn_spans
from automl.testing.problems import conditional_problem
from automl.testing.problems import integer_space

SPACE = integer_space([3] * 12)
GENES = Genes(SPACE.cardinalities, np.ones(12, dtype=bool))


def made(space=SPACE, **kwargs):
    policy = Policy(space, PolicyShape(contexts=1), np.random.default_rng(0))
    return PolicyMutation(space, policy, **{"whole": 0.5, "largest": 0.25, **kwargs})


def fixed(option):
    return lambda codes, genes, rng: np.full_like(codes, option)


def test_spans_are_one_block_or_everything():
    spans = drawn_spans(2000, 12, np.random.default_rng(0), whole=0.3, largest=0.25)
    lengths = spans.sum(axis=1)
    assert (lengths == 12).mean() == pytest.approx(0.3, abs=0.04)
    assert set(lengths.tolist()) == {1, 2, 3, 12}
    edges = np.abs(np.diff(spans.astype(int), axis=1)).sum(axis=1)
    assert (edges <= 2).all()
    assert spans.any(axis=0).all()


def test_one_gene_is_a_span():
    assert drawn_spans(5, 1, np.random.default_rng(0)).all()


def test_genes_outside_the_span_stay():
    mutation = made(whole=0.0)
    codes = SPACE.sample(np.random.default_rng(1), 50)
    children = mutation(codes, GENES, np.random.default_rng(2))
    episodes = mutation.played()
    assert not (children != codes)[~episodes.decided].any()
    assert (children != codes).any()


def test_what_was_decided_is_handed_over_once():
    mutation = made()
    children = np.concatenate(
        [mutation(SPACE.sample(np.random.default_rng(1), n), GENES, np.random.default_rng(2)) for n in (3, 2)]
    )
    episodes = mutation.played()
    np.testing.assert_array_equal(episodes.codes, children)
    assert episodes.keys == tuple(code_keys(children))
    np.testing.assert_allclose(episodes.logs, -np.log(3), rtol=1e-5)
    assert len(mutation.played()) == 0


def test_keys_are_those_of_the_repaired_code():
    space = conditional_problem().problem.space
    mutation = made(space, whole=1.0)
    children = mutation(space.sample(np.random.default_rng(1), 40), GENES, np.random.default_rng(2))
    repaired = space.repair(children)
    assert (repaired != children).any()
    assert mutation.played().keys == tuple(code_keys(repaired))


def test_rows_are_shared_as_told():
    mixed = MixedMutation(fixed(0), fixed(1), fixed(2), (0.2, 0.65, 0.15), np.random.default_rng(3))
    changed = mixed(np.full((4000, 2), 9), GENES, np.random.default_rng(4))
    shares = np.bincount(changed[:, 0]) / 4000
    np.testing.assert_allclose(shares, [0.2, 0.65, 0.15], atol=0.03)


def test_all_random_is_the_random_mutation_bit_for_bit():
    codes = SPACE.sample(np.random.default_rng(5), 30)
    mixed = MixedMutation(GeneMutation(), fixed(1), fixed(2), (1.0, 0.0, 0.0), np.random.default_rng(6))
    for seed in range(3):
        expected = GeneMutation()(codes, GENES, np.random.default_rng(seed))
        np.testing.assert_array_equal(mixed(codes, GENES, np.random.default_rng(seed)), expected)
