from __future__ import annotations

import numpy as np

from automl.core.rng import child_rng
from automl.core.rng import child_seed


def test_children_are_the_same_everywhere():
    assert child_seed(0, "evolutionary") == 7837493918481644607
    assert (
        child_rng(7, "a", 3).integers(0, 1000, 3).tolist()
        == child_rng(7, "a", 3).integers(0, 1000, 3).tolist()
    )


def test_names_and_seeds_give_different_children():
    seeds = {child_seed(s, *names) for s in (0, 1) for names in [(), ("a",), ("b",), ("a", "b"), ("ab",)]}
    assert len(seeds) == 10


def test_seeds_fit_63_bits():
    values = np.array([child_seed(s, "x") for s in range(500)], dtype=np.float64)
    assert values.min() >= 0
    assert values.max() < 2.0**63
    assert values.max() > 2.0**62


def test_children_are_uncorrelated():
    draws = np.stack([child_rng(s, "x").standard_normal(2000) for s in range(8)])
    off = np.corrcoef(draws)[~np.eye(8, dtype=bool)]
    assert np.abs(off).max() < 5 / np.sqrt(2000)
