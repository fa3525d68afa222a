from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.core.errors import KernelError
from automl.kernels.bitplane_linear.planes_math import BALANCED
from automl.kernels.bitplane_linear.planes_math import KINDS
from automl.kernels.bitplane_linear.planes_math import code_range
from automl.kernels.bitplane_linear.planes_math import largest
from automl.kernels.bitplane_linear.planes_math import longest
from automl.kernels.bitplane_linear.planes_math import offset
from automl.kernels.bitplane_linear.planes_math import pack_planes
from automl.kernels.bitplane_linear.planes_math import plane_weights
from automl.kernels.bitplane_linear.planes_math import unpack_planes
from automl.kernels.bitplane_linear.planes_math import word_count
from tests.kernels.support import codes
from tests.kernels.support import few_examples
from tests.kernels.support import seeds


@few_examples
@given(
    rows=st.integers(0, 9),
    inner=st.integers(1, 100),
    bits=st.integers(1, 8),
    kind=st.sampled_from(KINDS),
    seed=seeds,
)
def test_packing_is_undone_by_unpacking(rows, inner, bits, kind, seed):
    bits = 1 if kind == "binary" else bits
    low, high = code_range(bits, kind)
    values = codes((rows, inner), low, high, seed, torch.int16)
    if kind == "binary":
        values[values == 0] = 1
    planes = pack_planes(values, bits, kind)
    assert planes.shape == (bits, word_count(inner), rows)
    assert torch.equal(unpack_planes(planes, inner, kind), values)


def test_bit_j_of_word_i_is_code_32_i_plus_j_and_the_rest_is_clear():
    values = torch.zeros(1, 40, dtype=torch.int64)
    values[0, 33], values[0, 31] = 2, 1
    planes = pack_planes(values, 2, "unsigned")
    assert planes[:, :, 0].tolist() == [[-(2**31), 0], [0, 2]]


@pytest.mark.parametrize("kind", ["unsigned", "signed"])
def test_the_ends_of_a_range_are_the_sums_of_its_plane_weights(kind):
    for bits in range(1, 9):
        weights = plane_weights(bits, kind)
        assert code_range(bits, kind) == (sum(w for w in weights if w < 0), sum(w for w in weights if w > 0))
    assert (plane_weights(1, "binary"), offset("binary")) == ((2,), 1)


def test_the_longest_sum_is_the_last_that_fits():
    for bits in range(1, 9):
        size = largest(bits, "unsigned", zero=True)
        assert size == 2**bits - 1
        assert longest(size, size) * size * size < 2**31 <= (longest(size, size) + 1) * size * size
    assert largest(8, "signed", zero=False) == 128
    assert largest(8, "signed", zero=True) == 255


def test_balanced_sets_fit_their_bits_and_need_them():
    for levels, bits in BALANCED.items():
        half = (levels - 1) // 2
        assert code_range(bits, "signed")[1] >= half > code_range(bits - 1, "signed")[1]


@pytest.mark.parametrize(
    ("value", "bits", "kind", "words"),
    [
        (4, 2, "unsigned", "the code 4 for 2 unsigned bits; allowed: 0 to 3"),
        (-3, 2, "signed", "the code -3 for 2 signed bits; allowed: -2 to 1"),
        (0, 1, "binary", "the code 0 for 1 binary bits; allowed: -1 and 1"),
    ],
)
def test_a_code_that_does_not_fit_is_named(value, bits, kind, words):
    with pytest.raises(KernelError, match=words):
        pack_planes(torch.tensor([[1, value]]), bits, kind)


def test_five_balanced_levels_lose_less_than_four_on_a_normal_row():
    x = torch.randn(20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def best(low: int, high: int) -> float:
        steps = torch.linspace(0.3, 2.0, 120, dtype=torch.float64)[:, None]
        return float(
            ((x / steps).round().clamp(low, high) * steps - x).square().mean(1).min() / x.square().mean()
        )

    assert best(-2, 2) <= 0.65 * best(-2, 1)
