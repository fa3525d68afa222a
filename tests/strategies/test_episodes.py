from __future__ import annotations

import json

import numpy as np

from automl.strategies import episodes as module
from automl.strategies.episodes import EpisodeQueue
from automl.strategies.episodes import Episodes
from automl.strategies.episodes import Outcome
from automl.strategies.episodes import Outcomes


def played(*keys):
    n = len(keys)
    rng = np.random.default_rng(n)
    return Episodes(
        keys,
        rng.integers(0, 3, size=(n, 4)),
        rng.random((n, 2)).astype(np.float32),
        rng.normal(size=(n, 4)).astype(np.float32),
        rng.random((n, 4)) < 0.5,
        rng.random(n) < 0.5,
    )


def known(*keys):
    outcomes = Outcomes()
    for key in keys:
        outcomes.add(key, Outcome((1.0,)))
    return outcomes


def test_full_batches_leave_in_the_order_they_were_played():
    queue = EpisodeQueue(4, 2)
    queue.add(played("a", "b", "c", "d", "e"))
    batches = queue.batches(known("e", "a", "d", "c", "x"), 2)
    assert [b.keys for b in batches] == [("a", "c"), ("d", "e")]
    assert len(queue) == 1


def test_an_incomplete_batch_waits():
    queue = EpisodeQueue(4, 2)
    queue.add(played("a", "b", "c"))
    assert queue.batches(known("a"), 2) == []
    assert [b.keys for b in queue.batches(known("a", "c"), 2)] == [("a", "c")]


def test_one_outcome_answers_every_episode_that_led_to_it():
    queue = EpisodeQueue(4, 2)
    queue.add(played("a", "a", "b"))
    assert [b.keys for b in queue.batches(known("a"), 2)] == [("a", "a")]


def test_rows_stay_together():
    queue, whole = EpisodeQueue(4, 2), played("a", "b", "c")
    queue.add(whole)
    (batch,) = queue.batches(known("b", "c"), 2)
    np.testing.assert_array_equal(batch.codes, whole.codes[1:])
    np.testing.assert_array_equal(batch.logs, whole.logs[1:])
    np.testing.assert_array_equal(batch.decided, whole.decided[1:])


def test_waiting_episodes_are_bounded(monkeypatch):
    monkeypatch.setattr(module, "_WAITING", 3)
    queue = EpisodeQueue(4, 2)
    queue.add(played("a", "b"))
    queue.add(played("c", "d"))
    assert [b.keys for b in queue.batches(known("a", "b", "c", "d"), 1)] == [("b",), ("c",), ("d",)]


def test_outcomes_are_bounded_and_the_latest_counts(monkeypatch):
    monkeypatch.setattr(module, "_REMEMBERED", 2)
    outcomes = known("a", "b")
    outcomes.add("a", Outcome((2.0,)))
    outcomes.add("c", Outcome())
    assert "b" not in outcomes
    assert outcomes["a"] == Outcome((2.0,))
    assert outcomes["c"].failed


def test_states_come_back_through_json():
    queue, other = EpisodeQueue(4, 2), EpisodeQueue(4, 2)
    queue.add(played("a", "b", "c"))
    other.restore(json.loads(json.dumps(queue.state)))
    assert other.state == queue.state
    outcomes, again = known("a", "b"), Outcomes()
    again.restore(json.loads(json.dumps(outcomes.state)))
    assert again.state == outcomes.state
