from __future__ import annotations

import json

import numpy as np
import pytest

from automl.core.errors import StrategyError
from automl.strategies.actor_critic import ActorCritic


def made(*, discount=0.0, hidden=24, seed=0):
    rng = np.random.default_rng(seed)
    return ActorCritic(3, hidden, rng, rates=(3e-3, 3e-3), follow=0.05, discount=discount)


def batch(rng, n=64):
    states = rng.uniform(-1, 1, size=(n, 3)).astype(np.float32)
    actions = rng.random(n).astype(np.float32)
    return states, actions, np.ones(n, dtype=bool)


def target(states):
    """The best action in a state."""
    return 0.5 + 0.3 * states[:, 0]


def test_actor_learns_the_action_that_is_rewarded():
    agent, rng = made(), np.random.default_rng(1)
    for _ in range(800):
        states, actions, last = batch(rng)
        rewards = (-4 * (actions - target(states)) ** 2).astype(np.float32)
        agent.learn(states, actions, rewards, states, last)
    states, _, _ = batch(rng, 200)
    assert np.abs(agent.act(states) - target(states)).mean() < 0.08


def test_shuffled_rewards_teach_no_action():
    agent, rng = made(), np.random.default_rng(1)
    for _ in range(300):
        states, actions, last = batch(rng)
        rewards = (-4 * (actions - target(states)) ** 2).astype(np.float32)
        agent.learn(states, actions, rng.permutation(rewards), states, last)
    states, _, _ = batch(rng, 200)
    assert np.abs(agent.act(states) - target(states)).mean() > 0.12


def test_value_of_the_next_step_counts_by_the_discount():
    rng = np.random.default_rng(2)
    for discount, expected in ((0.0, 1.0), (1.0, 2.0)):
        agent = made(discount=discount)
        for _ in range(1500):
            # two steps of reward 1 an episode: the first state is marked by +1, the last by -1
            states, actions, last = batch(rng)
            states[:, 1] = np.where(last := rng.random(64) < 0.5, -1.0, 1.0)
            following = states.copy()
            following[:, 1] = -1.0
            agent.learn(states, actions, np.ones(64, dtype=np.float32), following, last)
        first = np.array([[0.0, 1.0, 0.0]], dtype=np.float32)
        assert agent.value(first, np.array([0.5], dtype=np.float32))[0] == pytest.approx(expected, abs=0.15)


def test_actions_are_in_the_unit_interval():
    states, _, _ = batch(np.random.default_rng(3))
    actions = made().act(100 * states)
    assert ((actions >= 0) & (actions <= 1)).all()


def test_a_restored_state_learns_on_bit_for_bit():
    first, second, rng = made(discount=0.5), made(discount=0.5, seed=9), np.random.default_rng(4)
    steps = [batch(rng) for _ in range(4)]
    for states, actions, last in steps[:2]:
        first.learn(states, actions, actions, states, ~last)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for states, actions, last in steps[2:]:
        first.learn(states, actions, actions, states, ~last)
        second.learn(states, actions, actions, states, ~last)
    assert first.state_dict() == second.state_dict()


def test_state_of_another_width_is_refused():
    with pytest.raises(StrategyError, match="other settings"):
        made().load_state_dict(made(hidden=8).state_dict())
