"""Quantizers and bias correction as pure functions on arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.core.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "affine_parameters",
    "code_limits",
    "correct_bias",
    "dequantize_affine",
    "dequantize_symmetric",
    "expand_scale",
    "fake_quantize_affine",
    "n_groups",
    "quantize_affine",
    "quantize_symmetric",
]

#: Smallest step: keeps a constant-zero tensor or channel representable without dividing by zero.
MIN_SCALE = np.float32(1e-12)


def code_limits(bits: int) -> tuple[int, int]:
    """Return the least and the greatest symmetric weight code.

    Codes of fewer than 8 bits use the whole two's-complement range: they are far from the saturation that
    makes int8 kernels give up -128, and the extra level is an eighth of all levels at 3 bits.

    Raises:
        ConfigError: ``bits`` is not in 2..8.
    """
    if not 2 <= bits <= 8:
        raise ConfigError(f"weight bits are {bits}; use a number of bits from 2 to 8")
    high = 2 ** (bits - 1) - 1
    return (-high if bits == 8 else -high - 1), high


def affine_parameters(low: float, high: float, bits: int = 8) -> tuple[float, int]:
    """Return the step (float32 value) and the integer zero point of the range [low, high].

    The range is widened to hold 0, so that 0.0 is exact and padding costs nothing.

    Raises:
        ConfigError: a bound is not finite or low exceeds high.
    """
    if not (np.isfinite(low) and np.isfinite(high)) or low > high:
        raise ConfigError(f"the activation range is [{low}, {high}]; give finite bounds with low <= high")
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    levels = 2**bits - 1
    scale = float(max(np.float32((high - low) / levels), MIN_SCALE))
    return scale, int(np.clip(round(-low / scale), 0, levels))


def quantize_affine(x: NDArray[Any], scale: float, zero_point: int, bits: int = 8) -> NDArray[np.int32]:
    """Return unsigned codes ``clip(round(x / scale) + zero_point, 0, 2**bits - 1)``, ties to even."""
    codes = np.rint(x / np.float32(scale)) + zero_point
    clipped: NDArray[np.int32] = np.clip(codes, 0, 2**bits - 1).astype(np.int32)
    return clipped


def dequantize_affine(codes: NDArray[Any], scale: float, zero_point: int) -> NDArray[np.float32]:
    """Return ``scale * (codes - zero_point)``."""
    return ((codes - zero_point) * np.float32(scale)).astype(np.float32)


def fake_quantize_affine(
    x: NDArray[Any], scale: float, zero_point: int, bits: int = 8
) -> NDArray[np.float32]:
    """Return ``x`` rounded to the quantizer's grid."""
    return dequantize_affine(quantize_affine(x, scale, zero_point, bits), scale, zero_point)


def n_groups(columns: int, group: int) -> int:
    """Return the number of scales of a row of ``columns`` weights; the last group may be short."""
    return -(-columns // group) if group else 1


def expand_scale(scale: NDArray[Any], columns: int, group: int = 0) -> NDArray[Any]:
    """Return the scale of every weight of the flattened matrix, broadcastable to (rows, columns).

    Args:
        scale: (rows,) per channel or (rows, n_groups).
        columns: length of a flattened row.
        group: weights that share a scale; 0 per channel.
    """
    if not group:
        return scale.reshape(-1, 1)
    return np.repeat(scale, group, axis=1)[:, :columns]


def quantize_symmetric(
    weight: NDArray[Any], scale: NDArray[Any], bits: int, group: int = 0
) -> NDArray[np.int8]:
    """Return the nearest codes of a weight of any shape, output channels first."""
    flat = weight.reshape(weight.shape[0], -1)
    low, high = code_limits(bits)
    codes = np.rint(flat / expand_scale(scale, flat.shape[1], group))
    clipped: NDArray[np.int8] = np.clip(codes, low, high).astype(np.int8).reshape(weight.shape)
    return clipped


def dequantize_symmetric(
    codes: NDArray[np.int8], scale: NDArray[np.float32], group: int = 0
) -> NDArray[np.float32]:
    """Return ``codes * scale`` in the shape of ``codes``."""
    flat = codes.reshape(codes.shape[0], -1).astype(np.float32)
    values: NDArray[np.float32] = (flat * expand_scale(scale, flat.shape[1], group)).astype(np.float32)
    return values.reshape(codes.shape)


def correct_bias(
    bias: NDArray[Any],
    weight: NDArray[Any],
    quantized: NDArray[Any],
    mean: NDArray[Any],
    quantized_mean: NDArray[Any] | None = None,
) -> NDArray[np.float32]:
    """Return the bias that keeps every output channel's mean (DFQ, arXiv 1906.04721, with measured means).

    Args:
        bias: (out,).
        weight: (groups, out per group, columns), original.
        quantized: same shape, dequantized.
        mean: (groups, columns) mean of the layer's input rows.
        quantized_mean: the mean of the rows that the quantized network gives it; ``mean`` when None.
    """
    seen = mean if quantized_mean is None else quantized_mean
    before = np.einsum("grc,gc->gr", weight.astype(np.float64), mean)
    after = np.einsum("grc,gc->gr", quantized.astype(np.float64), seen)
    corrected: NDArray[np.float32] = (bias + (before - after).reshape(-1)).astype(np.float32)
    return corrected
