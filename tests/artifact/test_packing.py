from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from automl.artifact import packing
from automl.artifact.packing import pack_bits
from automl.artifact.packing import packed_bytes
from automl.artifact.packing import unpack_bits
from automl.core.errors import ArtifactError


@given(st.integers(2, 8), st.integers(0, 300), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_unpacking_returns_the_codes(bits, count, seed):
    half = 1 << (bits - 1)
    codes = np.random.default_rng(seed).integers(-half, half, size=count, dtype=np.int8)
    stream = pack_bits(codes, bits)
    assert stream.size == packed_bytes(count, bits) == -(-count * bits // 8)
    assert np.array_equal(unpack_bits(stream, bits, (count,)), codes)


def test_four_bit_stream_is_low_nibble_first():
    assert pack_bits(np.array([-8, 7, 0], np.int8), 4).tolist() == [0xF0, 0x08]


def test_three_bit_codes_cross_byte_borders():
    # offsets 0..7 give 0b111_110_101_100_011_010_001_000, low bits first
    assert pack_bits(np.arange(-4, 4, dtype=np.int8), 3).tolist() == [0b10001000, 0b11000110, 0b11111010]


@pytest.mark.parametrize("bits", [2, 3, 6])
def test_chunks_join_without_a_seam(bits, monkeypatch):
    codes = np.random.default_rng(bits).integers(-2, 2, size=(7, 13), dtype=np.int8)
    whole = pack_bits(codes, bits)
    monkeypatch.setattr(packing, "_CHUNK", 16)
    assert np.array_equal(pack_bits(codes, bits), whole)
    assert np.array_equal(unpack_bits(whole, bits, codes.shape), codes)


def test_codes_out_of_range_are_refused():
    with pytest.raises(ArtifactError, match=r"do not fit into 4 bits; allowed are -8 to 7"):
        pack_bits(np.array([8], np.int8), 4)


@pytest.mark.parametrize("bits", [0, 1, 9])
def test_unknown_widths_are_refused(bits):
    with pytest.raises(ArtifactError, match="allowed are 2 to 8"):
        pack_bits(np.zeros(1, np.int8), bits)


def test_a_stream_of_wrong_length_is_refused():
    with pytest.raises(ArtifactError, match="takes 5 bytes; got 4"):
        unpack_bits(np.zeros(4, np.uint8), 4, (2, 5))
