"""Error-compensating rounding as pure functions, batched over convolution groups.

A layer is written as ``groups`` independent matrices: weights (groups, rows, columns) against Gram matrices
``X^T X`` (groups, columns, columns) of its input rows (im2col for convolutions). A linear layer is one group,
a depthwise convolution one group per channel with one row. Rows never interact, so several step sizes and bit
widths of the same layer may be stacked as extra rows and rounded at the price of one factorization.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "activation_order",
    "compensate",
    "damped",
    "inverse_factor",
    "quadratic_error",
    "refine",
    "refit_scale",
]


def damped(gram: NDArray[Any], damping: float) -> NDArray[np.float64]:
    """Return the Gram matrices with ``damping`` times their mean diagonal added to the diagonal.

    A column that never saw an input gets a unit diagonal, so that its weights simply round to nearest.

    Args:
        gram: (groups, columns, columns), symmetric positive semi-definite.
        damping: relative damping, 0.01 in the paper.
    """
    full = gram.astype(np.float64)
    index = np.arange(full.shape[-1])
    diagonal = full[:, index, index]
    mean = diagonal.mean(axis=1, keepdims=True)
    full[:, index, index] = np.where(diagonal > 0, diagonal, 1.0) + damping * mean + 1e-12
    return full


def activation_order(gram: NDArray[Any]) -> NDArray[np.int64]:
    """Return one column order for all groups, from the greatest to the least mean input power."""
    index = np.arange(gram.shape[-1])
    power = gram[:, index, index].astype(np.float64)
    power = power / np.maximum(power.sum(axis=1, keepdims=True), 1e-30)
    return np.argsort(-power.mean(axis=0), kind="stable").astype(np.int64)


def inverse_factor(gram: NDArray[Any]) -> NDArray[np.float64]:
    """Return upper-triangular ``U`` with ``inverse(gram) = U^T U`` for damped Gram matrices."""
    inverse = np.linalg.inv(gram)
    inverse = (inverse + np.swapaxes(inverse, 1, 2)) / 2
    return np.ascontiguousarray(np.swapaxes(np.linalg.cholesky(inverse), 1, 2))


def compensate(
    weight: NDArray[Any],
    factor: NDArray[Any],
    scale: NDArray[Any],
    limits: tuple[NDArray[Any], NDArray[Any]],
    *,
    block: int = 64,
) -> NDArray[np.int8]:
    """Round column by column, each rounding error pushed onto the columns that are still free.

    Args:
        weight: (groups, rows, columns).
        factor: (groups, columns, columns), from :func:`inverse_factor` with the same column order.
        scale: broadcastable to the weight, the step of each weight.
        limits: least and greatest code, each (rows,).
        block: columns whose updates to the rest are applied together.

    Returns:
        int8 codes of the weight's shape.

    Reference:
        GPTQ, arXiv 2210.17323, with batched groups and without the lazy per-group scale.
    """
    work = weight.astype(np.float32).copy()
    steps = np.broadcast_to(scale.astype(np.float32), work.shape)
    upper = factor.astype(np.float32)
    low, high = (x.astype(np.float32) for x in limits)
    codes = np.empty(work.shape, dtype=np.int8)
    columns = work.shape[2]
    for start in range(0, columns, block):
        stop = min(start + block, columns)
        errors = np.empty((*work.shape[:2], stop - start), dtype=np.float32)
        for j in range(start, stop):
            step = steps[:, :, j]
            code = np.clip(np.rint(work[:, :, j] / step), low, high)
            codes[:, :, j] = code
            error = (work[:, :, j] - code * step) / upper[:, j, j, None]
            errors[:, :, j - start] = error
            if j + 1 < stop:
                work[:, :, j + 1 : stop] -= error[:, :, None] * upper[:, None, j, j + 1 : stop]
        if stop < columns:
            work[:, :, stop:] -= errors @ upper[:, start:stop, stop:]
    return codes


def refine(
    weight: NDArray[Any],
    codes: NDArray[np.int8],
    gram: NDArray[Any],
    scale: NDArray[Any],
    limits: tuple[NDArray[Any], NDArray[Any]],
    *,
    passes: int = 2,
    block: int = 64,
) -> NDArray[np.int8]:
    """Improve codes by cyclic coordinate descent on the quadratic output error; never makes it larger.

    Args:
        weight: (groups, rows, columns).
        codes: starting codes.
        gram: (groups, columns, columns), damped.
        scale: broadcastable to the weight.
        limits: least and greatest code, each (rows,).
        passes: sweeps over the columns.
        block: columns whose gradients are computed together.

    Reference:
        QuantEase, arXiv 2309.01885.
    """
    target = weight.astype(np.float32)
    steps = np.broadcast_to(scale.astype(np.float32), target.shape)
    hessian = gram.astype(np.float32)
    low, high = (x.astype(np.float32) for x in limits)
    current = codes.astype(np.float32)
    error = target - current * steps
    for _ in range(passes):
        for start in range(0, target.shape[2], block):
            stop = min(start + block, target.shape[2])
            gradient = error @ hessian[:, :, start:stop]
            for j in range(start, stop):
                diagonal = hessian[:, j, j, None]
                step = steps[:, :, j]
                wanted = current[:, :, j] + gradient[:, :, j - start] / (diagonal * step)
                code = np.clip(np.rint(wanted), low, high)
                change = (current[:, :, j] - code) * step
                current[:, :, j] = code
                error[:, :, j] += change
                gradient += change[:, :, None] * hessian[:, None, j, start:stop]
    return current.astype(np.int8)


def quadratic_error(difference: NDArray[Any], gram: NDArray[Any]) -> NDArray[np.float64]:
    """Return ``d G d^T`` of each row, (groups, rows): the squared output error over the calibration rows."""
    wide = difference.astype(np.float32)
    error: NDArray[np.float64] = np.einsum("grc,grc->gr", wide @ gram.astype(np.float32), wide)
    return error.astype(np.float64)


def refit_scale(weight: NDArray[Any], codes: NDArray[Any], gram: NDArray[Any]) -> NDArray[np.float64]:
    """Return the step of each row, (groups, rows), with the least output error for given codes.

    Rows whose best step is not positive get NaN.
    """
    wide = codes.astype(np.float32)
    product = wide @ gram.astype(np.float32)
    top = np.einsum("grc,grc->gr", product, weight.astype(np.float32)).astype(np.float64)
    bottom = np.einsum("grc,grc->gr", product, wide).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        step = top / bottom
    return np.where(np.isfinite(step) & (step > 0), step, np.nan)
