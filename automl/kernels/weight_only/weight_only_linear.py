"""What the operators of weight-only linear layers share: registration, checks and the call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from automl.kernels import table as kernels
from automl.kernels.checks import need_device
from automl.kernels.checks import need_epilogue
from automl.kernels.checks import need_steps
from automl.kernels.dispatch import choose
from automl.kernels.weight_only.weight import Weight
from automl.kernels.weight_only.weight import need_weight

if TYPE_CHECKING:
    from collections.abc import Callable

    from automl.kernels.spec import KernelSpec

__all__ = ["WeightOnlyLinear"]


class WeightOnlyLinear:
    """The linear layer of weights of ``bits`` bits, registered as ``automl::NAME`` with a fake function.

    Args:
        spec: its name is the operator's.
        bits: 4 or 8.
    """

    def __init__(self, spec: KernelSpec, bits: int) -> None:
        self._spec = spec
        self._bits = bits
        self._operator = _registered(spec.name)

    def __call__(
        self,
        x: torch.Tensor,
        codes: torch.Tensor,
        scale: torch.Tensor,
        bias: torch.Tensor | None,
        *,
        group: int,
        zero: torch.Tensor | None,
        table: torch.Tensor | None,
        residual: torch.Tensor | None,
        activation: str,
        preference: str,
    ) -> torch.Tensor:
        """Return (..., n) of the type of ``x``, (..., k); shapes and options as the public function tells.

        Raises:
            KernelError: a type, shape, group or option is not allowed, or the ordered implementation cannot
                run.
        """
        name = self._spec.name
        inner = x.shape[-1] if x.dim() else 0
        need_weight(name, x, Weight(self._bits, codes, scale, zero, table, group, inner))
        columns = codes.shape[0]
        need_epilogue(name, (*x.shape[:-1], columns), bias, residual, activation, x.dtype)
        need_device(name, x, {"bias": bias, "residual": residual})
        choice = choose(self._spec, x.device.type, preference=preference)
        y: torch.Tensor = self._operator(
            x.reshape(-1, inner),
            codes,
            scale,
            zero,
            table,
            group,
            bias,
            None if residual is None else residual.reshape(-1, columns),
            activation,
            choice.implementation,
        )
        return y.reshape(*x.shape[:-1], columns)


def _registered(name: str) -> Callable[..., torch.Tensor]:
    """Register the operator of a kernel by its name, with its fake function, and return it."""

    @torch.library.custom_op(f"automl::{name}", mutates_args=())
    def operator(
        x: torch.Tensor,
        codes: torch.Tensor,
        scale: torch.Tensor,
        zero: torch.Tensor | None,
        table: torch.Tensor | None,
        group: int,
        bias: torch.Tensor | None,
        residual: torch.Tensor | None,
        activation: str,
        implementation: str,
    ) -> torch.Tensor:
        need_steps(name, "scale", scale)
        run = kernels.implementation(name, implementation)
        y: torch.Tensor = run(x, codes, scale, zero, table, group, bias, residual, activation)
        return y.to(x.dtype)

    @operator.register_fake
    def _fake(x: torch.Tensor, codes: torch.Tensor, *_: object) -> torch.Tensor:
        return x.new_empty((x.shape[0], codes.shape[0]))

    return operator
