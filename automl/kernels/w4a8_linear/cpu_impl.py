"""``w4a8_linear`` on the CPU: oneDNN's int8 product per channel, int8 products added in int32 per group.

No CPU product reads packed nibbles against int8 inputs, so weights are unpacked to int8 once: speed and bytes
are those of ``w8a8_linear``. The group-wise form pays a pass over the output per group.
"""

from __future__ import annotations

import torch

from automl.kernels.w4a8_linear.scales_math import unpack_signed
from automl.kernels.w8a8_linear.cpu_impl import PackedW8A8
from automl.kernels.w8a8_linear.cpu_impl import pack as pack_int8
from automl.kernels.w8a8_linear.cpu_impl import run as run_int8

__all__ = ["pack", "run"]


def pack(
    codes: torch.Tensor,
    scale: torch.Tensor,
    bias: torch.Tensor | None,
    *,
    inner: int,
    activation: str = "none",
    out_dtype: torch.dtype = torch.float32,
    rows: int | None = None,
) -> PackedW8A8:
    """Return a per-channel weight ready for any number of products.

    Args:
        codes: (n, ceil(k / 2)) uint8.
        scale: (n, 1) float32.
        bias: (n,) or None.
        inner: k.
        activation: one of ``automl.kernels.checks.ACTIVATIONS``.
        out_dtype: float32, float16 or bfloat16.
        rows: of most calls, None when unknown; any number is served, others are only slower.
    """
    w = unpack_signed(codes, inner)
    return pack_int8(w, scale[:, 0], bias, activation=activation, out_dtype=out_dtype, rows=rows)


def run(
    x: torch.Tensor,
    x_scale: torch.Tensor,
    codes: torch.Tensor,
    scale: torch.Tensor,
    group: int,
    alpha: int,
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    activation: str,
    out_dtype: torch.dtype,
) -> torch.Tensor:
    """Return (m, n) of ``out_dtype``; unpacks on every call, so modules call ``pack`` once instead."""
    (rows, inner), columns = x.shape, codes.shape[0]
    if rows == 0:
        return torch.empty((0, columns), dtype=out_dtype)
    w = unpack_signed(codes, inner)
    if scale.shape[1] == 1 and not alpha:
        return run_int8(x, x_scale, w, scale[:, 0], bias, residual, activation, out_dtype)
    total = torch.zeros((rows, columns), dtype=torch.int32 if alpha else torch.float32)
    for index, start in enumerate(range(0, inner, group)):
        part = slice(start, start + group)
        product = _int_product(x[:, part], w[:, part])
        total.addcmul_(product.to(total.dtype), scale[:, index].to(total.dtype))
    step = x_scale.unsqueeze(-1) if x_scale.dim() else x_scale
    # The multiplier is a power of two, so dividing by it rounds nothing.
    y = total.float() * (step / (alpha or 1))
    for term in (bias, residual):
        if term is not None:
            y += term
    return _activate(y, activation).to(out_dtype)


def _int_product(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    if x.shape[1] == 1:
        # torch._int_mm misreads operands of inner length 1, whose strides do not tell rows from columns.
        x, w = (torch.nn.functional.pad(t, (0, 1)) for t in (x, w))
    return torch._int_mm(x.contiguous(), w.contiguous().t())


def _activate(y: torch.Tensor, activation: str) -> torch.Tensor:
    if activation == "relu":
        return y.relu_()
    if activation == "gelu":
        return torch.nn.functional.gelu(y)
    return torch.nn.functional.silu(y) if activation == "silu" else y
