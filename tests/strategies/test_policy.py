from __future__ import annotations

import numpy as np
import pytest
import torch

from automl.searchspaces.dimension import Dimension
from automl.searchspaces.space import SearchSpace
from automl.strategies.policy import Policy
from automl.strategies.policy import PolicyShape
from automl.testing.problems import integer_space

CARDS = (3, 1, 4, 2)


def mixed_space():
    kinds = ("precision", "precision", "width", "precision")
    return SearchSpace(
        tuple(
            Dimension(kind, f"s{i}", tuple(range(c)), 0)
            for i, (kind, c) in enumerate(zip(kinds, CARDS, strict=True))
        )
    )


def stirred(space, *, contexts=2, seed=0, kind=np.float32):
    """Return a policy with random parameters everywhere, so that no gradient is zero by symmetry."""
    rng = np.random.default_rng(seed)
    policy = Policy(space, PolicyShape(hidden=5, embedding=3, contexts=contexts), rng)
    for name, value in policy.parameters.items():
        policy.parameters[name] = (0.7 * rng.normal(size=value.shape)).astype(kind)
    return policy


def contexts(n, width=2, seed=1):
    return np.random.default_rng(seed).dirichlet(np.ones(width), size=n).astype(np.float32)


def test_an_untrained_policy_is_uniform():
    space = mixed_space()
    policy = Policy(space, PolicyShape(contexts=2), np.random.default_rng(0))
    forward = policy.forward(space.sample(np.random.default_rng(1), 4), contexts(4))
    expected = np.repeat(np.log(np.array(CARDS))[:, None], 4, axis=1)
    np.testing.assert_allclose(forward.entropy, expected, atol=1e-6)
    np.testing.assert_allclose(forward.chosen, -expected, atol=1e-6)


def test_probabilities_of_all_codes_sum_to_one():
    space = mixed_space()
    codes = np.indices(CARDS).reshape(4, -1).T
    forward = stirred(space).forward(codes, np.repeat(contexts(1), len(codes), axis=0))
    assert np.exp(forward.chosen.sum(axis=0)).sum() == pytest.approx(1.0, abs=1e-5)


def test_what_was_drawn_has_the_probability_that_forward_says():
    space = mixed_space()
    policy, given = stirred(space), contexts(32)
    codes, logs = policy.sample(np.random.default_rng(2).random((32, 4)), given)
    assert (codes >= 0).all()
    assert (codes < np.array(CARDS)).all()
    np.testing.assert_allclose(logs.T, policy.forward(codes, given).chosen, atol=1e-5)


def test_draws_follow_the_probabilities():
    space = integer_space([3, 2])
    policy = stirred(space)
    given = np.repeat(contexts(1), 6000, axis=0)
    codes, _ = policy.sample(np.random.default_rng(3).random((6000, 2)), given)
    every = np.indices((3, 2)).reshape(2, -1).T
    expected = np.exp(policy.forward(every, given[:6]).chosen.sum(axis=0))
    seen = np.array([(codes == code).all(axis=1).mean() for code in every])
    np.testing.assert_allclose(seen, expected, atol=0.03)


def test_a_later_decision_depends_on_an_earlier_one():
    policy = stirred(integer_space([2, 2]))
    given = np.repeat(contexts(1), 2, axis=0)
    logs = policy.forward(np.array([[0, 0], [1, 0]]), given).logs
    assert not np.allclose(logs[1, 0], logs[1, 1])
    np.testing.assert_allclose(logs[0, 0], logs[0, 1])


def test_kept_decisions_are_read_and_stay():
    space = mixed_space()
    policy, given = stirred(space), contexts(16)
    kept = space.sample(np.random.default_rng(4), 16)
    decide = np.zeros((16, 4), dtype=bool)
    decide[:, 2] = True
    codes, logs = policy.sample(np.random.default_rng(5).random((16, 4)), given, kept=kept, decide=decide)
    np.testing.assert_array_equal(codes[:, [0, 1, 3]], kept[:, [0, 1, 3]])
    assert (codes[:, 2] != kept[:, 2]).any()
    np.testing.assert_allclose(logs.T, policy.forward(codes, given).chosen, atol=1e-5)


def test_heat_divides_the_logits():
    policy = Policy(integer_space([4] * 30), PolicyShape(contexts=1), np.random.default_rng(0))
    policy.parameters["bias"][:, :, 0] = 3.0
    uniforms, given = np.random.default_rng(6).random((64, 30)), np.ones((64, 1), dtype=np.float32)
    for heat in (1.0, 4.0):
        codes, logs = policy.sample(uniforms, given, temperature=heat)
        share = np.exp(3.0 / heat) / (np.exp(3.0 / heat) + 3.0)
        assert (codes == 0).mean() == pytest.approx(share, abs=0.04)
        np.testing.assert_allclose(logs[codes == 0], np.log(share), rtol=1e-5)


def test_leaning_follows_the_best_code_most():
    space = mixed_space()
    policy = Policy(space, PolicyShape(contexts=1), np.random.default_rng(0))
    policy.lean_towards(np.array([[2, 0, 3, 1], [0, 0, 3, 0]]), 0.9)
    forward = policy.forward(np.array([[2, 0, 3, 1]]), np.ones((1, 1), dtype=np.float32))
    shares = np.exp(forward.chosen[:, 0])
    # 2/3 of the weight on the first row, all of it where both agree; the rest of the trust is uniform
    expected = [0.9 * 2 / 3 + 0.1 / 3, 1.0, 0.9 + 0.1 / 4, 0.9 * 2 / 3 + 0.1 / 2]
    np.testing.assert_allclose(shares, expected, rtol=1e-5)


def as_torch(policy, parameters, codes, given):
    """Return (chosen, entropy) by a plain torch program of the same formula."""
    p, cards = parameters, policy.cards.tolist()
    head_of = {c: i for i, c in enumerate(sorted(set(cards)))}
    kind_of = [0, 0, 1, 0]
    state, previous = given @ p["start"], torch.full((len(codes),), max(cards))
    chosen, entropy = [], []
    for t, count in enumerate(cards):
        read = p["choice"][previous] + p["position"][t] + p["kind"][kind_of[t]]
        gates = (read @ p["input"] + p["input_bias"]).split(5, dim=1)
        inner = (state @ p["recurrent"] + p["recurrent_bias"]).split(5, dim=1)
        reset, update = torch.sigmoid(gates[0] + inner[0]), torch.sigmoid(gates[1] + inner[1])
        new = torch.tanh(gates[2] + reset * inner[2])
        state = (1 - update) * new + update * state
        logits = state @ p["head"][head_of[count]] + torch.einsum("nc,co->no", given, p["bias"][:, t])
        logs = torch.log_softmax(logits[:, :count], dim=1)
        chosen.append(logs.gather(1, codes[:, t, None])[:, 0])
        entropy.append(-(logs.exp() * logs).sum(dim=1))
        previous = codes[:, t]
    return torch.stack(chosen), torch.stack(entropy)


def test_values_and_gradients_equal_torch():
    space = mixed_space()
    policy = stirred(space, kind=np.float64)
    policy._mask = policy._mask.astype(np.float64)
    codes, given = space.sample(np.random.default_rng(7), 6), contexts(6).astype(np.float64)
    rng = np.random.default_rng(8)
    on_chosen, on_entropy = rng.normal(size=(4, 6)), rng.normal(size=(4, 6))
    leaves = {k: torch.tensor(v, requires_grad=True) for k, v in policy.parameters.items()}
    chosen, entropy = as_torch(policy, leaves, torch.tensor(codes), torch.tensor(given))
    (torch.tensor(on_chosen) * chosen + torch.tensor(on_entropy) * entropy).sum().backward()
    forward = policy.forward(codes, given)
    np.testing.assert_allclose(forward.chosen, chosen.detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(forward.entropy, entropy.detach().numpy(), atol=1e-12)
    own = policy.backward(forward, on_chosen, on_entropy)
    assert set(own) == set(leaves)
    for name, leaf in leaves.items():
        np.testing.assert_allclose(own[name], leaf.grad.numpy(), rtol=1e-8, atol=1e-12, err_msg=name)


def test_pass_keeps_single_precision():
    space = mixed_space()
    policy = stirred(space)
    forward = policy.forward(space.sample(np.random.default_rng(9), 3), contexts(3))
    gradient = policy.backward(forward, np.ones_like(forward.chosen), np.ones_like(forward.chosen))
    assert {value.dtype for value in gradient.values()} == {np.dtype(np.float32)}
