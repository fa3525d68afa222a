"""Arrays in a strategy's saved state: base64 of their little-endian bytes, so that nothing is rounded."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.core.errors import StrategyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["decode_array", "decode_arrays", "encode_array", "encode_arrays"]


def encode_array(array: Array) -> dict[str, Any]:
    """Return type, shape and bytes of a numeric array as plain JSON."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    data = base64.b64encode(little.tobytes()).decode()
    return {"type": little.dtype.str, "shape": list(array.shape), "data": data}


def decode_array(state: Mapping[str, Any]) -> Array:
    """Return the array of :func:`encode_array`.

    Raises:
        StrategyError: it was not written by it.
    """
    try:
        kind = np.dtype(str(state["type"]))
        raw = np.frombuffer(base64.b64decode(state["data"], validate=True), dtype=kind)
        return raw.reshape(state["shape"]).astype(kind.newbyteorder("="))
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise StrategyError(
            f"an array of the saved state cannot be read ({error}); the state is damaged, start a new run"
        ) from error


def encode_arrays(arrays: Mapping[str, Array]) -> dict[str, Any]:
    """Return :func:`encode_array` of every array by name."""
    return {name: encode_array(array) for name, array in arrays.items()}


def decode_arrays(state: Mapping[str, Any], into: Mapping[str, Array]) -> None:
    """Overwrite the arrays ``into`` in place with those of :func:`encode_arrays`.

    Raises:
        StrategyError: names, types or shapes differ.
    """
    if set(state) != set(into):
        raise StrategyError(
            f"the saved state holds arrays {sorted(state)} where {sorted(into)} are needed; it was written "
            "with other settings, use those or start a new run"
        )
    for name, target in into.items():
        array = decode_array(state[name])
        if array.shape != target.shape or array.dtype != target.dtype:
            raise StrategyError(
                f"array '{name}' of the saved state is {array.dtype} {array.shape} where {target.dtype} "
                f"{target.shape} is needed; it was written with other settings, use those or start a new run"
            )
        target[...] = array
