"""Reflected Gray order: every code once, each a single step of a single gene from the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["gray_codes"]


def gray_codes(indices: NDArray[np.int64], cardinalities: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the codes at ``indices`` of the reflected Gray order over mixed radices.

    Index 0 is the code of zeros, the last gene moves first.

    Args:
        indices: (n,), from 0 to the product of the cardinalities, which must fit in 63 bits.
        cardinalities: (n_dimensions,), options of each gene.

    Returns:
        Codes, shape (n, n_dimensions).
    """
    codes = np.empty((len(indices), len(cardinalities)), dtype=np.int64)
    left = indices.astype(np.int64)
    for column in range(len(cardinalities) - 1, -1, -1):
        options = int(cardinalities[column])
        block, digit = np.divmod(left, options)
        # a gene runs forth and back in turn: every second block of its values is reversed
        codes[:, column] = np.where(block % 2 == 0, digit, options - 1 - digit)
        left = block
    return codes
