"""Layers that run on the low-bit kernels; each takes integer codes, or rounds a float layer itself.

On a CPU a layer packs its weight once and calls the product directly; anywhere else, and when an
implementation is ordered, it calls the operator, which dispatches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from automl.core.errors import KernelError
from automl.kernels.checks import FLOATS
from automl.kernels.quantize_rows.cpu_impl import static_codes
from automl.kernels.quantize_rows.cpu_impl import static_entry
from automl.kernels.quantize_rows.op import quantize_rows
from automl.kernels.w4a8_linear.op import w4a8_linear
from automl.kernels.w4a16_linear.op import w4a16_linear
from automl.kernels.w8a8_linear.cpu_impl import pack as pack_w8a8
from automl.kernels.w8a8_linear.op import w8a8_linear
from automl.kernels.w8a16_linear.op import w8a16_linear
from automl.kernels.weight_only.cpu_impl import pack as pack_weight
from automl.kernels.weight_only.formats_math import pack_nibbles
from automl.kernels.weight_only.weight import Weight

if TYPE_CHECKING:
    from collections.abc import Callable

    from automl.kernels.weight_only.cpu_impl import PackedWeight

__all__ = ["InputCodes", "W4A8Linear", "W4A16Linear", "W8A8Linear", "W8A16Linear"]


def _on_cpu(tensor: torch.Tensor, preference: str) -> bool:
    return tensor.is_cpu and preference in ("auto", "cpu")


def _need_step(name: str, step: float) -> None:
    if not 0 < step < float("inf"):
        raise KernelError(
            f"kernel '{name}' got a static step of {step}; allowed: positive and finite; calibrate the range "
            "again"
        )


class InputCodes(torch.nn.Module):
    """int8 codes of a value with a static step; made once for every layer that reads the value.

    Args:
        step: size of a code, positive.
        zero: code that stands for the number 0, -128 to 127.
        preference: see ``automl.kernels.dispatch``.

    Raises:
        KernelError: the step is not positive and finite.
    """

    step: torch.Tensor

    def __init__(self, step: float, zero: int = 0, *, preference: str = "auto") -> None:
        super().__init__()
        _need_step("quantize_rows", step)
        self.register_buffer("step", torch.tensor(step, dtype=torch.float32))
        self.zero, self.preference = zero, preference

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return int8 codes of the shape of ``x``."""
        if _on_cpu(x, self.preference) and not torch.compiler.is_compiling():
            return static_codes(x, self.step, self.zero)
        return quantize_rows(
            x, granularity="tensor", scale=self.step, zero=self.zero, preference=self.preference
        )[0]

    @property
    def entry(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """What to call in place of the layer; with few numbers its look-ups cost most."""
        if not _on_cpu(self.step, self.preference):
            return self.forward
        return static_entry(self.step, self.zero)


class W8A8Linear(torch.nn.Module):
    """int8 weights per channel, int8 inputs with a static step or one per call or row.

    The zero point of the input costs nothing: ``sum (c - z) w = sum c w - z sum w``, and the second term is
    part of the bias.

    Args:
        codes: (n, k) int8.
        scale: (n,) float32.
        bias: (n,) or None.
        x_scale: static step of the input, positive; None measures it in every call.
        x_zero: code of the input's 0, with a static step alone.
        granularity: ``row`` or ``tensor``, of a measured step.
        activation: fused, one of ``automl.kernels.checks.ACTIVATIONS``.
        out_dtype: float type of the result; that of a float input, and float32 of codes, when None.
        out_codes: (step, zero) of the result when it is handed on as int8 codes.
        rows: rows of most calls, which decide how the weight is packed on a CPU; None when unknown.
        preference: see ``automl.kernels.dispatch``.

    Raises:
        KernelError: a step is not positive and finite.
    """

    codes: torch.Tensor
    scale: torch.Tensor
    bias: torch.Tensor | None

    def __init__(
        self,
        codes: torch.Tensor,
        scale: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        x_scale: float | None = None,
        x_zero: int = 0,
        granularity: str = "row",
        activation: str = "none",
        out_dtype: torch.dtype | None = None,
        out_codes: tuple[float, int] | None = None,
        rows: int | None = None,
        preference: str = "auto",
    ) -> None:
        super().__init__()
        if x_scale is not None:
            _need_step("w8a8_linear", x_scale)
        bias = None if bias is None else bias.detach().float()
        if x_zero:
            moved = codes.sum(dim=1, dtype=torch.int64).double() * scale.double() * (x_zero * (x_scale or 0))
            bias = (-moved if bias is None else bias.double() - moved).float()
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale)
        self.register_buffer("bias", bias)
        self.x_scale, self.x_zero, self.granularity = x_scale, x_zero, granularity
        self.activation, self.out_dtype, self.preference = activation, out_dtype, preference
        self.requantize = None if out_codes is None else InputCodes(*out_codes, preference=preference)
        on_cpu = _on_cpu(codes, preference)
        # Only a single call with one scale can hand on codes itself; everything else comes out in float32.
        self._handed_on = out_codes if x_scale is not None else None
        made = torch.float32 if out_dtype is None or x_scale is None else out_dtype
        self._packed = (
            pack_w8a8(
                codes,
                scale,
                bias,
                activation=activation,
                out_dtype=made if self._handed_on is None else torch.int8,
                out_codes=self._handed_on or (1.0, 0),
                rows=rows,
                by_row=x_scale is None and granularity == "row",
            )
            if on_cpu
            else None
        )

    @classmethod
    def of(
        cls,
        linear: torch.nn.Linear,
        *,
        x_scale: float | None = None,
        granularity: str = "row",
        activation: str = "none",
    ) -> W8A8Linear:
        """Return the layer of a float layer; its weight is rounded to nearest, symmetric."""
        codes, scale = quantize_rows(linear.weight.detach())
        return cls(codes, scale, linear.bias, x_scale=x_scale, granularity=granularity, activation=activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (..., n) of (..., k) numbers or int8 codes."""
        flat = x.reshape(-1, x.shape[-1])
        out = self.out_dtype or (torch.float32 if x.dtype == torch.int8 else x.dtype)
        if self._measures(flat):
            y = self._requantized(self._packed.dynamic(flat, self.granularity).to(out))  # type: ignore[union-attr]
            return y.reshape(*x.shape[:-1], y.shape[-1])
        if flat.dtype == torch.int8 and self.x_scale is not None:
            codes, step = flat, torch.full((), self.x_scale, device=x.device)
        elif self.x_scale is None:
            codes, step = quantize_rows(flat, granularity=self.granularity, preference=self.preference)
        else:
            step = torch.full((), self.x_scale, device=x.device)
            codes, _ = quantize_rows(
                flat, granularity="tensor", scale=step, zero=self.x_zero, preference=self.preference
            )
        y = self._product(codes, step, out)
        return y.reshape(*x.shape[:-1], y.shape[-1])

    def _measures(self, flat: torch.Tensor) -> bool:
        """Return whether a packed weight takes the numbers as they are; what is traced keeps to operators."""
        known = self._packed is not None and self.x_scale is None and flat.dtype in FLOATS
        return known and flat.numel() > 0 and not torch.compiler.is_compiling()

    @property
    def entry(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """What to call with int8 codes in place of the layer; with few rows its checks cost most."""
        if self._packed is None or self.x_scale is None:
            return self.forward
        return self._packed.bound(self.x_scale)

    def _product(self, codes: torch.Tensor, step: torch.Tensor, out: torch.dtype) -> torch.Tensor:
        """Return (m, n) of ``out``, or codes when they are handed on."""
        # What is traced keeps to operators: a program cannot hold the address of a compiled kernel.
        if self._packed is not None and not (self.x_scale is None and torch.compiler.is_compiling()):
            if step.dim():
                return self._requantized(self._packed.rows(codes, step).to(out))
            y = self._packed.static(codes, float(step) if self.x_scale is None else self.x_scale)
            return y if self._handed_on is not None else self._requantized(y.to(out))
        y = w8a8_linear(
            codes,
            step,
            self.codes,
            self.scale,
            self.bias,
            activation=self.activation,
            out_dtype=torch.float32 if self.requantize is not None else out,
            preference=self.preference,
        )
        return self._requantized(y)

    def _requantized(self, y: torch.Tensor) -> torch.Tensor:
        return y if self.requantize is None else self.requantize(y)


class _WeightOnlyLinear(torch.nn.Module):
    """Quantized weights, float inputs.

    Args:
        weight: validated codes and scales.
        bias: (n,) or None.
        rows: rows of most calls, which decide how the weight is packed on a CPU.
        preference: see ``automl.kernels.dispatch``.
    """

    codes: torch.Tensor
    scale: torch.Tensor
    bias: torch.Tensor | None

    def __init__(self, weight: Weight, bias: torch.Tensor | None, *, rows: int, preference: str) -> None:
        super().__init__()
        self.register_buffer("codes", weight.codes)
        self.register_buffer("scale", weight.scale)
        self.register_buffer("bias", None if bias is None else bias.detach().float())
        self.group, self.inner, self.preference = weight.group, weight.inner, preference
        on_cpu = _on_cpu(weight.codes, preference)
        self._packed: PackedWeight | None = pack_weight(weight, self.bias, rows=rows) if on_cpu else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (..., n) of the type of ``x`` (..., k)."""
        flat = x.reshape(-1, self.inner)
        # What is traced keeps to operators: a program cannot hold the address of a compiled kernel.
        packed = self._packed
        if packed is not None and packed.native is not None and torch.compiler.is_compiling():
            packed = None
        y = self._operator(flat) if packed is None else packed(flat)
        return y.reshape(*x.shape[:-1], y.shape[-1])

    def _operator(self, flat: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class W4A16Linear(_WeightOnlyLinear):
    """4-bit weights with a symmetric scale per group of inputs, float inputs.

    Args:
        codes: (n, ceil(k / 2)) uint8, see ``pack_nibbles``; code 8 stands for 0.
        scale: (n, ceil(k / group)) float32.
        bias: (n,) or None.
        group: inputs that share a scale.
        inner: k.
        rows: rows of most calls.
        preference: see ``automl.kernels.dispatch``.
    """

    def __init__(
        self,
        codes: torch.Tensor,
        scale: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        group: int,
        inner: int,
        rows: int = 1,
        preference: str = "auto",
    ) -> None:
        weight = Weight(4, codes, scale, None, None, group, inner)
        super().__init__(weight, bias, rows=rows, preference=preference)

    @classmethod
    def of(cls, linear: torch.nn.Linear, *, group: int = 64, rows: int = 1) -> W4A16Linear:
        """Return the layer of a float layer; its weight is rounded to nearest."""
        weight = linear.weight.detach().float()
        n, k = weight.shape
        groups = -(-k // group)
        padded = torch.nn.functional.pad(weight, (0, groups * group - k)).reshape(n, groups, group)
        scale = (padded.abs().amax(dim=-1) / 7).clamp_min(torch.finfo(torch.float32).tiny)
        codes = (padded / scale.unsqueeze(-1)).round().add(8).clamp(0, 15).reshape(n, -1)[:, :k]
        return cls(pack_nibbles(codes), scale, linear.bias, group=group, inner=k, rows=rows)

    def _operator(self, flat: torch.Tensor) -> torch.Tensor:
        return w4a16_linear(
            flat, self.codes, self.scale, self.bias, group=self.group, preference=self.preference
        )


class W8A16Linear(_WeightOnlyLinear):
    """int8 weights with a scale per channel, float inputs.

    Args:
        codes: (n, k) int8.
        scale: (n,) float32.
        bias: (n,) or None.
        rows: rows of most calls.
        preference: see ``automl.kernels.dispatch``.
    """

    def __init__(
        self,
        codes: torch.Tensor,
        scale: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        rows: int = 1,
        preference: str = "auto",
    ) -> None:
        inner = codes.shape[1]
        weight = Weight(8, codes, scale.reshape(-1, 1), None, None, inner, inner)
        super().__init__(weight, bias, rows=rows, preference=preference)

    def _operator(self, flat: torch.Tensor) -> torch.Tensor:
        return w8a16_linear(
            flat, self.codes, self.scale, self.bias, group=self.group, preference=self.preference
        )


class W4A8Linear(torch.nn.Module):
    """4-bit weights per channel, int8 inputs with a static step.

    Args:
        codes: (n, ceil(k / 2)) uint8, signed nibbles as ``scales_math.pack_signed`` packs them.
        scale: (n,) float32.
        bias: (n,) float32 or None, with the term of the input's zero point already in it.
        x_scale: static step of the input, positive.
        activation: fused, one of ``automl.kernels.checks.ACTIVATIONS``.
        out_dtype: float type of the result.
        preference: see ``automl.kernels.dispatch``.
    """

    codes: torch.Tensor
    scale: torch.Tensor
    x_scale: torch.Tensor
    bias: torch.Tensor | None

    def __init__(
        self,
        codes: torch.Tensor,
        scale: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        x_scale: float,
        activation: str = "none",
        out_dtype: torch.dtype = torch.float32,
        preference: str = "auto",
    ) -> None:
        super().__init__()
        _need_step("w4a8_linear", x_scale)
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale.reshape(-1, 1))
        self.register_buffer("bias", bias)
        self.register_buffer("x_scale", torch.tensor(x_scale, dtype=torch.float32))
        self.activation, self.out_dtype, self.preference = activation, out_dtype, preference

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (..., n) of int8 codes (..., k)."""
        return w4a8_linear(
            x,
            self.x_scale,
            self.codes,
            self.scale,
            self.bias,
            group=x.shape[-1],
            activation=self.activation,
            out_dtype=self.out_dtype,
            preference=self.preference,
        )
