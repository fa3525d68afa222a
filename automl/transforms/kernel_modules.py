"""Linear layers that run on the low-bit kernels; each is made from a float layer and keeps its interface."""

from __future__ import annotations

import torch

from automl.core.errors import KernelError
from automl.kernels.quantize_rows.op import quantize_rows
from automl.kernels.w4a16_linear.op import w4a16_linear
from automl.kernels.w8a8_linear.cpu_impl import pack as pack_w8a8
from automl.kernels.w8a8_linear.op import w8a8_linear
from automl.kernels.weight_only.cpu_impl import pack as pack_weight
from automl.kernels.weight_only.formats_math import pack_nibbles
from automl.kernels.weight_only.weight import Weight

__all__ = ["W4A16Linear", "W8A8Linear"]


class W8A8Linear(torch.nn.Module):
    """int8 weights per channel, int8 inputs with a static step or one per call or row.

    Args:
        linear: float layer; its weight is rounded to nearest, symmetric.
        x_scale: static step of the input, positive; None measures it in every call.
        granularity: ``row`` or ``tensor``, of a measured step.
        activation: fused, one of ``automl.kernels.checks.ACTIVATIONS``.

    Raises:
        KernelError: the static step is not positive and finite.
    """

    bias: torch.Tensor | None

    def __init__(
        self,
        linear: torch.nn.Linear,
        *,
        x_scale: float | None = None,
        granularity: str = "row",
        activation: str = "none",
    ) -> None:
        super().__init__()
        if x_scale is not None and not 0 < x_scale < float("inf"):
            raise KernelError(
                f"kernel 'w8a8_linear' got a static input step of {x_scale}; allowed: positive and finite; "
                "calibrate the range again"
            )
        codes, scale = quantize_rows(linear.weight.detach())
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().float())
        self.x_scale, self.granularity, self.activation = x_scale, granularity, activation
        self._packed = pack_w8a8(codes, scale, self.bias, activation=activation) if codes.is_cpu else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (..., n) of the type of ``x`` (..., k)."""
        flat = x.reshape(-1, x.shape[-1])
        if self.x_scale is None:
            codes, step = quantize_rows(flat, granularity=self.granularity)
        else:
            step = torch.full((), self.x_scale, device=x.device)
            codes, step = quantize_rows(flat, granularity="tensor", scale=step)
        if self._packed is None or not x.is_cpu:
            weight, scale = self.get_buffer("codes"), self.get_buffer("scale")
            y = w8a8_linear(codes, step, weight, scale, self.bias, activation=self.activation)
        elif step.dim():
            y = self._packed.rows(codes, step)
        else:
            y = self._packed.static(codes, self.x_scale if self.x_scale is not None else float(step))
        return y.to(x.dtype).reshape(*x.shape[:-1], y.shape[-1])


class W4A16Linear(torch.nn.Module):
    """4-bit weights with a symmetric scale per group of inputs, float inputs.

    Args:
        linear: float layer; its weight is rounded to nearest.
        group: inputs that share a scale.
        rows: rows of most calls, which decide how the weight is packed on a CPU.
    """

    bias: torch.Tensor | None

    def __init__(self, linear: torch.nn.Linear, *, group: int = 64, rows: int = 1) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        n, k = weight.shape
        groups = -(-k // group)
        padded = torch.nn.functional.pad(weight, (0, groups * group - k)).reshape(n, groups, group)
        scale = (padded.abs().amax(dim=-1) / 7).clamp_min(torch.finfo(torch.float32).tiny)
        codes = (padded / scale.unsqueeze(-1)).round().add(8).clamp(0, 15).reshape(n, -1)[:, :k]
        self.register_buffer("codes", pack_nibbles(codes))
        self.register_buffer("scale", scale)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().float())
        self.group, self.inner = group, k
        held = Weight(4, self.get_buffer("codes"), scale, None, None, group, k)
        self._packed = pack_weight(held, self.bias, rows=rows) if weight.is_cpu else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (..., n) of the type of ``x`` (..., k)."""
        flat = x.reshape(-1, self.inner)
        if self._packed is None or not x.is_cpu:
            codes, scale = self.get_buffer("codes"), self.get_buffer("scale")
            y = w4a16_linear(flat, codes, scale, self.bias, group=self.group)
        else:
            y = self._packed(flat.to(torch.bfloat16))
        return y.to(x.dtype).reshape(*x.shape[:-1], y.shape[-1])
