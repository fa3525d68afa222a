from __future__ import annotations

import numpy as np
import pytest

from automl.core.indicators import hypervolume
from automl.core.indicators import igd_plus


def test_two_steps():
    assert hypervolume(np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([3.0, 3.0])) == pytest.approx(3.0)


def test_points_outside_the_reference_add_nothing():
    assert hypervolume(np.array([[4.0, 0.0], [3.0, 3.0]]), np.array([3.0, 3.0])) == 0.0
    assert hypervolume(np.empty((0, 2)), np.array([3.0, 3.0])) == 0.0


def test_never_falls_when_a_point_is_added():
    points = np.random.default_rng(0).random((40, 3))
    volumes = [hypervolume(points[:n], np.ones(3)) for n in range(1, 41)]
    assert (np.diff(volumes) >= -1e-12).all()


def test_agrees_with_monte_carlo():
    rng = np.random.default_rng(1)
    points, probes = rng.random((8, 3)), rng.random((40_000, 3))
    share = (points[:, None] <= probes[None]).all(axis=2).any(axis=0).mean()
    assert hypervolume(points, np.ones(3)) == pytest.approx(share, abs=0.012)


def test_igd_plus_counts_only_what_is_worse():
    reference = np.array([[1.0, 1.0]])
    assert igd_plus(np.array([[0.0, 0.5]]), reference) == 0.0
    assert igd_plus(np.array([[0.0, 1.5]]), reference) == pytest.approx(0.5)
    assert igd_plus(np.array([[4.0, 5.0]]), reference) == pytest.approx(5.0)
