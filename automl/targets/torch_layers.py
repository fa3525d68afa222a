"""The float layer of torch programs: oneDNN's packed product where it pays, ``F.linear`` elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FloatLinear", "SplitLayer", "cast", "entry"]

_ATTRIBUTES = {"none": "none", "relu": "relu", "gelu": "gelu", "silu": "swish"}
_ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": torch.relu,
    "gelu": torch.nn.functional.gelu,
    "silu": torch.nn.functional.silu,
}
_NO_ARGUMENTS: list[float | None] = []


def cast(x: torch.Tensor, dtype: torch.dtype, low: float | None = None) -> torch.Tensor:
    """Return ``x`` in another type; not below ``low``, so that a mask's lowest float32 stays finite."""
    return (x if low is None else x.clamp_min(low)).to(dtype)


class FloatLinear(torch.nn.Module):
    """A linear layer in one float type.

    In bfloat16 on a CPU the weight is packed once and the activation fused: ``F.linear`` packs it again in
    every call, which takes longer than the product where there are few rows. Float32 products gain nothing.

    Args:
        weight: (n, k).
        bias: (n,) or None.
        dtype: float32 or bfloat16; inputs must have it.
        activation: applied to the result, one of ``automl.kernels.checks.ACTIVATIONS``.
        rows: rows of most calls.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        dtype: torch.dtype,
        activation: str = "none",
        rows: int = 1,
    ) -> None:
        super().__init__()
        self._attribute: str | None = None
        weight = weight.to(dtype)
        if dtype is torch.bfloat16 and weight.is_cpu:
            self._attribute = _ATTRIBUTES[activation]
            weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", None if bias is None else bias.to(dtype))
        self._activation = _ACTIVATIONS.get(activation)

    @property
    def entry(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """What to call in place of the layer; with few rows its look-ups cost most."""
        weight, bias, attribute = self.weight, self.bias, self._attribute
        if attribute is not None:
            product = torch.ops.mkldnn._linear_pointwise.default
            return lambda x: product(x, weight, bias, attribute, _NO_ARGUMENTS, "none")
        if self._activation is None:
            return lambda x: torch._C._nn.linear(x, weight, bias)
        return self.forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (..., n) of (..., k)."""
        if self._attribute is not None:
            y: torch.Tensor = torch.ops.mkldnn._linear_pointwise(
                x, self.weight, self.bias, self._attribute, _NO_ARGUMENTS, "none"
            )
            return y
        y = torch.nn.functional.linear(x, self.weight, self.bias)
        return y if self._activation is None else self._activation(y)


class SplitLayer(torch.nn.Module):
    """Layers that read the same value as one: their weights stacked, the result cut.

    Args:
        layer: the stacked layer.
        sizes: outputs of each.
    """

    def __init__(self, layer: torch.nn.Module, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.layer, self.sizes = layer, list(sizes)
        self._call = entry(layer)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return one (..., n_i) for each layer."""
        return torch.split(self._call(x), self.sizes, -1)


def entry(layer: torch.nn.Module) -> Callable[[torch.Tensor], Any]:
    """Return what to call in place of a layer without hooks."""
    found: Callable[[torch.Tensor], Any] = getattr(layer, "entry", layer.forward)
    return found
