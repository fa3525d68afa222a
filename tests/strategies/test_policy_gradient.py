from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from automl.core.errors import StrategyError
from automl.strategies.episodes import Episodes
from automl.strategies.policy import Policy
from automl.strategies.policy import PolicyShape
from automl.strategies.policy_gradient import GradientSettings
from automl.strategies.policy_gradient import PolicyGradient
from automl.strategies.policy_gradient import advantages
from automl.strategies.policy_gradient import surrogate_slope
from automl.testing.problems import integer_space

SPACE = integer_space([3, 2, 4])
OPTIMUM = np.array([2, 1, 3])


def made(**settings):
    policy = Policy(SPACE, PolicyShape(hidden=8, embedding=4, contexts=1), np.random.default_rng(0))
    return policy, PolicyGradient(policy, GradientSettings(**settings))


def play(policy, rng, n=8, *, repeated=False):
    contexts = np.ones((n, 1), dtype=np.float32)
    codes, logs = policy.sample(rng.random((n, 3)), contexts)
    keys = tuple(map(str, range(n)))
    return Episodes(keys, codes, contexts, logs, np.ones((n, 3), dtype=bool), np.full(n, repeated))


def probability(policy):
    forward = policy.forward(OPTIMUM[None], np.ones((1, 1), dtype=np.float32))
    return float(np.exp(forward.chosen.sum()))


@pytest.mark.parametrize("method", ["ppo", "reinforce"])
def test_training_finds_the_rewarded_code(method):
    policy, gradient = made(method=method)
    rng = np.random.default_rng(1)
    for _ in range(60):
        episodes = play(policy, rng)
        gradient.learn(episodes, (episodes.codes == OPTIMUM).sum(axis=1).astype(np.float64))
    assert probability(policy) > 0.8
    curve = np.array(gradient.curve)
    assert curve[-5:, 1].mean() < 0.5 * curve[0, 1]
    assert curve[-5:, 2].mean() > curve[:5, 2].mean() + 1.0


@pytest.mark.parametrize("method", ["ppo", "reinforce"])
def test_rewards_of_other_episodes_teach_nothing(method):
    policy, gradient = made(method=method)
    rng = np.random.default_rng(1)
    for _ in range(60):
        episodes = play(policy, rng)
        gradient.learn(episodes, rng.permutation((episodes.codes == OPTIMUM).sum(axis=1).astype(np.float64)))
    assert probability(policy) < 0.3


def test_equal_rewards_move_nothing_but_the_entropy():
    policy, gradient = made()
    policy.parameters["bias"][0, :, 0] = 1.0
    before = policy.parameters["bias"].copy()
    gradient.learn(play(policy, np.random.default_rng(2)), np.full(8, 3.0))
    # the bonus alone acts: it pulls the raised logits down
    assert (policy.parameters["bias"][0, :, 0] < before[0, :, 0]).all()


def test_decisions_that_were_not_the_policys_are_not_trained():
    policy, gradient = made(method="reinforce", entropy=0.0)
    episodes = play(policy, np.random.default_rng(3))
    episodes.decided[:, 1] = False
    before = policy.parameters["bias"].copy()
    gradient.learn(episodes, np.arange(8.0))
    moved = np.abs(policy.parameters["bias"] - before).sum(axis=(0, 2))
    assert moved[1] == 0.0
    assert moved[0] > 0.0
    assert moved[2] > 0.0


def test_repeats_raise_the_weight_of_the_entropy_and_new_codes_lower_it():
    policy, gradient = made()
    rng, weights = np.random.default_rng(4), []
    for repeated in (True, False):
        for _ in range(10):
            gradient.learn(play(policy, rng, repeated=repeated), rng.random(8))
        weights.append(gradient.state_dict()["entropy"])
    assert weights[0] > 5 * GradientSettings().entropy
    assert weights[1] < weights[0]


def test_advantages_are_scaled_and_constant_rewards_have_none():
    given = advantages(np.array([1.0, 2.0, 3.0]), 0.5)
    assert given.mean() == pytest.approx(0.0, abs=1e-12)
    assert given.std() == pytest.approx(1.0)
    assert advantages(np.full(4, 7.0), 3.0).tolist() == [0.0] * 4


def test_surrogate_slope_is_the_derivative_of_the_clipped_objective():
    rng = np.random.default_rng(5)
    log_ratio = rng.normal(scale=0.4, size=(4, 6))
    advantage = rng.normal(size=6)[None, :]
    leaf = torch.tensor(log_ratio, requires_grad=True)
    gain = torch.tensor(advantage)
    objective = torch.minimum(leaf.exp() * gain, leaf.exp().clamp(0.8, 1.2) * gain)
    objective.sum().backward()
    np.testing.assert_allclose(surrogate_slope(log_ratio, advantage, 0.2), leaf.grad.numpy(), atol=1e-12)


def test_a_restored_state_trains_on_bit_for_bit():
    (one, first), (other, second) = made(), made()
    rng = np.random.default_rng(6)
    batches = [(play(one, rng), rng.random(8)) for _ in range(4)]
    for episodes, rewards in batches[:2]:
        first.learn(episodes, rewards)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for episodes, rewards in batches[2:]:
        first.learn(episodes, rewards)
        second.learn(episodes, rewards)
    assert first.state_dict() == second.state_dict()
    np.testing.assert_array_equal(one.parameters["head"], other.parameters["head"])


def test_the_reports_curve_is_the_rows_under_the_strategys_name():
    policy, gradient = made(method="reinforce")
    assert gradient.curves("mine") == ()
    rng = np.random.default_rng(7)
    for _ in range(5):
        gradient.learn(play(policy, rng), rng.random(8), np.arange(8.0))
    (curve,) = gradient.curves("mine")
    assert curve.title == "policy of mine"
    assert curve.steps == (0, 1, 2, 3, 4)
    entropy, reward = curve.series
    assert entropy.values == tuple(row[1] for row in gradient.curve)
    # the first batch is played by an even policy: the mean over 3, 2 and 4 options
    assert entropy.values[0] == pytest.approx(np.log([3, 2, 4]).mean(), rel=0.05)
    assert reward.values == (3.5,) * 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "sarsa"},
        {"batch": 1},
        {"epochs": 0},
        {"clip": 1.0},
        {"baseline": 1.0},
        {"repeats": -0.1},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(StrategyError):
        GradientSettings(**wrong)


def test_remarks_give_the_curve_as_means_of_five_parts_of_the_training():
    policy, gradient = made()
    rng = np.random.default_rng(3)
    assert gradient.remarks == ()
    for _ in range(20):
        episodes = play(policy, rng)
        gradient.learn(episodes, (episodes.codes == OPTIMUM).sum(axis=1).astype(np.float64))
    means = np.array(gradient.curve).reshape(5, 4, 3).mean(axis=1)
    (remark,) = gradient.remarks
    assert remark.startswith("policy after 20 updates, means of 5 equal parts of them: ")
    assert f"entropy of a decision {', '.join(f'{v:.2f}' for v in means[:, 1])} nats" in remark
    assert remark.endswith(f"reward {', '.join(f'{v:.2f}' for v in means[:, 2])}")
