"""Bit packing: signed integer codes of 2 to 8 bits as a dense little-endian bit stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from automl.core.errors import ArtifactError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["pack_bits", "packed_bytes", "unpack_bits"]

#: Codes handled at a time: a multiple of 8, so that every chunk ends on a byte; bounds memory.
_CHUNK = 1 << 20


def _check_bits(bits: int) -> None:
    if not 2 <= bits <= 8:
        raise ArtifactError(f"cannot pack codes of {bits} bits; allowed are 2 to 8")


def packed_bytes(count: int, bits: int) -> int:
    """Return how many bytes ``count`` codes of ``bits`` bits take."""
    return (count * bits + 7) // 8


def pack_bits(codes: NDArray[np.int8], bits: int) -> NDArray[np.uint8]:
    """Return ``codes`` as a bit stream; code i takes bits [i * bits, (i + 1) * bits), lowest bit first.

    A code is stored with offset 2**(bits - 1), so the stream does not depend on the sign representation.

    Args:
        codes: any shape, values in [-2**(bits-1), 2**(bits-1) - 1]; read in C order.
        bits: 2 to 8.

    Returns:
        (ceil(n_codes * bits / 8),), unused bits of the last byte zero.

    Raises:
        ArtifactError: a code does not fit into ``bits`` bits, or ``bits`` is out of range.
    """
    _check_bits(bits)
    flat = np.ascontiguousarray(codes, dtype=np.int8).reshape(-1)
    half = 1 << (bits - 1)
    if flat.size and not (-half <= int(flat.min()) and int(flat.max()) < half):
        raise ArtifactError(
            f"codes in [{flat.min()}, {flat.max()}] do not fit into {bits} bits; "
            f"allowed are {-half} to {half - 1}"
        )
    parts = [_pack(flat[start : start + _CHUNK], bits) for start in range(0, flat.size, _CHUNK)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint8)


def _pack(codes: NDArray[np.int8], bits: int) -> NDArray[np.uint8]:
    """Return one chunk packed: eight codes fill ``bits`` whole bytes, built in one 64-bit word."""
    unsigned = np.zeros(-(-codes.size // 8) * 8, dtype="<u8")
    unsigned[: codes.size] = codes.astype(np.int64) + (1 << (bits - 1))
    lanes = unsigned.reshape(-1, 8)
    words = lanes[:, 0].copy()
    for lane in range(1, 8):
        words |= lanes[:, lane] << np.uint64(lane * bits)
    stream = words.view(np.uint8).reshape(-1, 8)[:, :bits]
    return np.ascontiguousarray(stream).reshape(-1)[: packed_bytes(codes.size, bits)]


def _unpack(stream: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.int8]:
    """Return one chunk of ``count`` codes; inverse of :func:`_pack`."""
    padded = np.zeros(-(-count // 8) * bits, dtype=np.uint8)
    padded[: stream.size] = stream
    words = np.zeros((padded.size // bits, 8), dtype=np.uint8)
    words[:, :bits] = padded.reshape(-1, bits)
    word = words.view("<u8")[:, 0]
    mask, half = np.uint64((1 << bits) - 1), 1 << (bits - 1)
    codes = np.empty((word.size, 8), dtype=np.int8)
    for lane in range(8):
        codes[:, lane] = ((word >> np.uint64(lane * bits)) & mask).astype(np.int16) - half
    return codes.reshape(-1)[:count]


def unpack_bits(stream: NDArray[np.uint8], bits: int, shape: tuple[int, ...]) -> NDArray[np.int8]:
    """Return the codes written by :func:`pack_bits`, shape ``shape``.

    Raises:
        ArtifactError: the stream's length does not belong to ``shape`` and ``bits``.
    """
    _check_bits(bits)
    count = int(np.prod(shape, dtype=np.int64))
    if stream.size != packed_bytes(count, bits):
        raise ArtifactError(
            f"a packed tensor of shape {shape} at {bits} bits takes {packed_bytes(count, bits)} bytes; "
            f"got {stream.size}; the file is damaged, save the artifact again"
        )
    codes = np.empty(count, dtype=np.int8)
    for start in range(0, count, _CHUNK):
        stop = min(start + _CHUNK, count)
        codes[start:stop] = _unpack(stream[start * bits // 8 : packed_bytes(stop, bits)], bits, stop - start)
    return codes.reshape(shape)
