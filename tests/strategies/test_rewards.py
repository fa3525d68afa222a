from __future__ import annotations

import json

import numpy as np
import pytest

from automl.core.budget import parse_budget
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.strategies.rewards import RewardSettings
from automl.strategies.rewards import RunningReward
from automl.strategies.rewards import log_excess

HARD = parse_budget("size=100B")
SOFT = parse_budget("soft:latency=10ms")
ONE = np.ones((4, 1))
NONE = np.zeros(4, dtype=bool)
POINTS = np.array([[1.0], [2.0], [3.0], [4.0]])


def test_excess_is_the_logarithm_of_metric_over_limit():
    measured = Measurement({"size_bytes": Metric(150.0, "B")})
    assert log_excess([HARD, SOFT], measured) == [pytest.approx(np.log(1.5)), 0.0]
    assert log_excess([HARD], Measurement({"size_bytes": Metric(99.0, "B")})) == [0.0]


def test_rewards_are_scores_where_every_budget_is_met():
    rewards, shown = RunningReward(1, [HARD]).batch(POINTS, np.zeros((4, 1)), ONE, NONE)
    np.testing.assert_allclose(rewards, (2.5 - POINTS[:, 0]) / POINTS.std())
    np.testing.assert_array_equal(rewards, shown)


def test_only_the_hard_exponent_moves():
    reward = RunningReward(1, [HARD, SOFT], RewardSettings(exponent=2.0))
    over = np.full((4, 2), 0.5)
    for _ in range(20):
        rewards, _ = reward.batch(np.ones((4, 1)), over, ONE, NONE)
    assert reward.exponent > 4.0
    before = reward.exponent * np.exp(-0.1 * 0.6)
    np.testing.assert_allclose(rewards, -0.5 * (before + 2.0))


def test_shown_rewards_do_not_move_with_the_statistics():
    reward = RunningReward(1, [])
    empty = np.zeros((4, 0))
    reward.batch(POINTS, empty, ONE, NONE)
    for _ in range(50):
        rewards, shown = reward.batch(POINTS - 1.0, empty, ONE, NONE)
    np.testing.assert_allclose(shown, (3.5 - POINTS[:, 0]) / POINTS.std())
    assert abs(rewards.mean()) < 0.1 < shown.mean()


def test_failed_episodes_are_worst_and_leave_the_statistics_alone():
    failed = np.array([False, False, False, True])
    points = np.array([[1.0], [2.0], [3.0], [0.0]])
    rewards, _ = RunningReward(1, []).batch(points, np.zeros((4, 0)), ONE, failed)
    assert rewards[3] == -3.0
    assert rewards[1] == 0.0


def test_a_batch_of_failures_alone_is_survived():
    rewards, _ = RunningReward(1, [HARD]).batch(np.zeros((4, 1)), np.zeros((4, 1)), ONE, ~NONE)
    assert rewards.tolist() == [-3.0] * 4


def test_a_restored_state_goes_on_equally():
    first, second = RunningReward(1, [HARD]), RunningReward(1, [HARD])
    first.batch(POINTS, np.full((4, 1), 0.1), ONE, NONE)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for reward in (first, second):
        reward.batch(2 * POINTS, np.zeros((4, 1)), ONE, NONE)
    assert first.state_dict() == second.state_dict()
