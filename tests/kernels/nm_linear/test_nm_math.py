from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.core.errors import KernelError
from automl.kernels.nm_linear.nm_math import GROUP
from automl.kernels.nm_linear.nm_math import KEPT
from automl.kernels.nm_linear.nm_math import PATTERNS
from automl.kernels.nm_linear.nm_math import group_count
from automl.kernels.nm_linear.nm_math import pack_nm
from automl.kernels.nm_linear.nm_math import prune_nm
from automl.kernels.nm_linear.nm_math import unpack_nm
from tests.kernels.support import codes
from tests.kernels.support import few_examples
from tests.kernels.support import normal
from tests.kernels.support import seeds


@few_examples
@given(
    rows=st.integers(0, 9),
    inner=st.integers(1, 70),
    pattern=st.sampled_from(sorted(PATTERNS)),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.int8]),
    seed=seeds,
)
def test_packing_a_pruned_weight_is_undone_by_unpacking(rows, inner, pattern, dtype, seed):
    w = codes((rows, inner), -9, 9, seed, torch.int8).to(dtype)
    pruned = prune_nm(w, pattern)
    values, mask = pack_nm(pruned, pattern)
    assert values.shape == (rows, KEPT * group_count(inner))
    assert values.dtype == dtype
    assert torch.equal(unpack_nm(values, mask, inner), pruned)
    lanes = torch.arange(GROUP)
    assert (((mask[..., None].int() >> lanes) & 1).sum(-1) == KEPT).all()


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_pruning_keeps_the_largest_of_every_group(pattern):
    most, of = PATTERNS[pattern]
    w = normal((6, 5 * of), 1)
    pruned = prune_nm(w, pattern).reshape(6, 5, of)
    assert ((pruned != 0).sum(-1) == most).all()
    dropped = w.reshape(6, 5, of).abs().where(pruned == 0, 0.0).amax(-1)
    kept = pruned.abs().where(pruned != 0, torch.inf).amin(-1)
    assert (kept >= dropped).all()


def test_pruning_follows_a_given_importance():
    w = torch.tensor([[4.0, 3.0, 2.0, 1.0]])
    assert prune_nm(w, "2:4", torch.tensor([[0.0, 1.0, 2.0, 3.0]])).tolist() == [[0.0, 0.0, 2.0, 1.0]]


def test_the_format_takes_half_the_values_and_a_bit_a_column():
    values, mask = pack_nm(prune_nm(normal((3, 64), 0, torch.float16), "2:4"), "2:4")
    assert values.nbytes + mask.nbytes == 3 * (32 * 2 + 8)


@pytest.mark.parametrize(
    ("weight", "pattern", "words"),
    [
        (torch.ones(2, 8), "2:4", "4 values in columns 0 to 3 of row 0; allowed: 2 of 4 for 2:4"),
        (torch.ones(2, 7), "4:8", "7 values in columns 0 to 7 of row 0; allowed: 4 of 8 for 4:8"),
        (torch.tensor([[0.0, torch.nan]]), "2:4", "NaN or infinity"),
        (torch.ones(2, 8), "1:4", "pattern=1:4; allowed: 2:4, 4:8"),
    ],
)
def test_a_weight_that_does_not_fit_is_named(weight, pattern, words):
    with pytest.raises(KernelError, match=words):
        pack_nm(weight, pattern)
