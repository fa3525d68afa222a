from __future__ import annotations

import numpy as np
import pytest

from automl.strategies.operators.sampling import enumerate_codes
from automl.testing.linkage import gene_table_problem
from automl.testing.linkage import linkage_problem


def test_largest_reward_is_the_best_of_all_codes():
    synthetic, largest = gene_table_problem(4, 5, seed=3)
    values = synthetic.truth(enumerate_codes(synthetic.problem.space))
    assert -values[:, 0].min() == pytest.approx(largest)


@pytest.mark.parametrize("adjacent", [True, False])
def test_loss_falls_only_where_partners_match(adjacent):
    synthetic = linkage_problem(4, 3, adjacent=adjacent, seed=1)
    codes = enumerate_codes(synthetic.problem.space)
    loss = synthetic.truth(codes)[:, 0]
    second = 1 if adjacent else 2
    # of the nine codes of a pair three match; the other pair doubles as it likes
    one = loss.reshape(3, 3, 3, 3)
    pair = one.max(axis=(2, 3)) if second == 1 else one.max(axis=(1, 3))
    assert (pair < 2.0).sum() == 3
    assert (pair < 2.0).sum(axis=1).tolist() == [1, 1, 1]


def test_quality_has_its_price():
    synthetic = linkage_problem(4, 6, seed=2)
    values = synthetic.truth(enumerate_codes(synthetic.problem.space))
    best, cheapest = values[values[:, 0].argmin()], values[values[:, 1].argmin()]
    assert best[1] > cheapest[1]
    assert np.isfinite(values).all()
