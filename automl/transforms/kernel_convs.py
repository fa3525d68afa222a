"""Convolutions of 8-bit codes on the CPU, and the layers that keep codes codes on the way between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from automl.core.errors import KernelError
from automl.kernels.quantize_rows.cpu_impl import static_codes
from automl.kernels.w8a8_conv.cpu_impl import pack

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

__all__ = ["MapCodes", "MaxPoolCodes", "NumbersOfCodes", "W8A8Conv"]

#: Codes of a plan and of convolutions are unsigned, those of the other kernels signed.
_MIDDLE = 128


def _need_step(step: float) -> None:
    if not 0 < step < float("inf"):
        raise KernelError(
            f"kernel 'w8a8_conv' got a static step of {step}; allowed: positive and finite; calibrate the "
            "range again"
        )


class MapCodes(torch.nn.Module):
    """uint8 codes of a map, channels last, made once for every convolution that reads it.

    Args:
        step: size of a code, positive.
        zero: code that stands for the number 0, 0 to 255.

    Raises:
        KernelError: the step is not positive and finite.
    """

    step: torch.Tensor

    def __init__(self, step: float, zero: int) -> None:
        super().__init__()
        _need_step(step)
        self.register_buffer("step", torch.tensor(step, dtype=torch.float32))
        self.zero = zero

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the codes of (b, c, height, width) numbers of any float type."""
        last = x.permute(0, 2, 3, 1).contiguous()
        codes = static_codes(last, self.step, self.zero - _MIDDLE)
        # In two's complement the highest bit alone tells signed codes from unsigned ones.
        return codes.view(torch.uint8).bitwise_xor_(_MIDDLE).permute(0, 3, 1, 2)


class NumbersOfCodes(torch.nn.Module):
    """The numbers that uint8 codes stand for, for a reader of numbers.

    Args:
        step: size of a code.
        zero: code of the number 0.
        dtype: of the numbers.
    """

    def __init__(self, step: float, zero: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.step, self.zero, self.dtype = step, float(zero), dtype

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Return ``(codes - zero) * step``."""
        return codes.to(torch.float32).sub_(self.zero).mul_(self.step).to(self.dtype)


class MaxPoolCodes(torch.nn.Module):
    """The maximum over windows of uint8 codes, which is the code of the maximum.

    Args:
        window: (height, width).
        stride: (height, width).
        padding: (height, width), never the maximum.
        dilation: (height, width).
        ceil: whether the last window may stick out.
    """

    def __init__(
        self,
        window: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        ceil: bool,
    ) -> None:
        super().__init__()
        self.arguments = (list(window), list(stride), list(padding), list(dilation), ceil)

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the codes (b, c, height, width) of the pooled map."""
        y: torch.Tensor = torch.ops.quantized.max_pool2d(codes, *self.arguments)
        return y


class W8A8Conv(torch.nn.Module):
    """A convolution of uint8 codes with a static step, and of a residual that it adds, on the CPU.

    Args:
        codes: (n, c / groups, height, width) int8.
        scale: (n,) float32.
        bias: (n,) or None.
        x_codes: (step, zero) of the input.
        stride: (height, width).
        padding: (left, right, top, bottom).
        dilation: (height, width).
        groups: of channels.
        activation: fused, one of ``automl.kernels.w8a8_conv.reference.ACTIVATIONS``; ``none`` or ``relu``
            beside a residual.
        out_dtype: float type of a result of numbers.
        out_codes: (step, zero) of the result when it is handed on as uint8 codes.
        residual_codes: (step, zero) of a residual, whose result must be codes.
        shape: (b, c, height, width) of most inputs.

    Raises:
        KernelError: a step is not positive and finite.
    """

    def __init__(
        self,
        codes: torch.Tensor,
        scale: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        x_codes: tuple[float, int],
        stride: Sequence[int] = (1, 1),
        padding: Sequence[int] = (0, 0, 0, 0),
        dilation: Sequence[int] = (1, 1),
        groups: int = 1,
        activation: str = "none",
        out_dtype: torch.dtype = torch.float32,
        out_codes: tuple[float, int] | None = None,
        residual_codes: tuple[float, int] | None = None,
        shape: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        for step, _ in (x_codes, out_codes or x_codes, residual_codes or x_codes):
            _need_step(step)
        self.residual_codes = residual_codes
        #: Whether nothing else reads the residual later, so that its memory may take the result.
        self.owns_residual = False
        self.packed = pack(
            codes,
            scale,
            bias,
            x_scale=x_codes[0],
            x_zero=x_codes[1],
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            activation=activation,
            out_dtype=out_dtype if out_codes is None else torch.uint8,
            out_codes=out_codes or (1.0, 0),
            shape=shape,
        )

    @property
    def entry(self) -> Callable[..., torch.Tensor]:
        """What to call in place of the layer."""
        return self.packed if self.residual_codes is None else self.forward

    def forward(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        """Return (b, n, height, width) of codes (b, c, height, width), and of a residual of codes."""
        if residual is None or self.residual_codes is None:
            return self.packed(x)
        own = residual.contiguous(memory_format=torch.channels_last)
        if own is residual and not self.owns_residual:
            own = residual.clone(memory_format=torch.channels_last)
        return self.packed.added(x, own, self.residual_codes)
