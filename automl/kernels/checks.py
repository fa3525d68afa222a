"""Validation that operators share; a message says what happened, the value, what is allowed, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from automl.core.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Sequence

__all__ = [
    "ACTIVATIONS",
    "FLOATS",
    "need_device",
    "need_dtype",
    "need_epilogue",
    "need_one_of",
    "need_shape",
    "need_steps",
]

#: What a fused epilogue may apply.
ACTIVATIONS = ("none", "relu", "gelu", "silu")

#: Types of activations and outputs.
FLOATS = (torch.float32, torch.float16, torch.bfloat16)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def need_dtype(kernel: str, name: str, tensor: torch.Tensor, allowed: Sequence[torch.dtype]) -> None:
    """Refuse a tensor whose type is not in ``allowed``.

    Raises:
        KernelError: it is not.
    """
    if tensor.dtype not in allowed:
        names = ", ".join(_name(d) for d in allowed)
        raise KernelError(
            f"kernel '{kernel}' got {name} of type {_name(tensor.dtype)}; allowed: {names}; "
            f"convert it with .to(torch.{_name(allowed[0])})"
        )


def need_shape(kernel: str, name: str, tensor: torch.Tensor, shape: Sequence[int | None], words: str) -> None:
    """Refuse a tensor of another shape; None stands for any length, ``words`` says the shape in letters.

    Raises:
        KernelError: the shape differs.
    """
    fits = tensor.dim() == len(shape) and all(
        w is None or w == g for w, g in zip(shape, tensor.shape, strict=True)
    )
    if not fits:
        wanted = "(" + ", ".join("any" if w is None else str(w) for w in shape) + ")"
        raise KernelError(
            f"kernel '{kernel}' got {name} of shape {tuple(tensor.shape)}; allowed: {words}, here {wanted}; "
            "pass the tensor in that layout"
        )


def need_one_of(kernel: str, name: str, value: object, allowed: Iterable[object]) -> None:
    """Refuse a value that is not in ``allowed``.

    Raises:
        KernelError: it is not.
    """
    options = list(allowed)
    if value not in options:
        names = ", ".join(str(o) for o in options)
        raise KernelError(f"kernel '{kernel}' got {name}={value}; allowed: {names}; choose one of them")


def need_steps(kernel: str, name: str, steps: torch.Tensor, *, measured: bool = False) -> None:
    """Refuse steps that are not positive and finite, naming the first.

    It looks at values, so it belongs where an operator runs and not where it is traced, and a GPU is not
    stalled for it: there NaN shows in the result.

    Args:
        kernel: name for the message.
        name: of the operand.
        steps: any shape.
        measured: whether the steps were measured on this very input; NaN then marks an input that has NaN,
            and passes on to the result.

    Raises:
        KernelError: one is not.
    """
    if steps.device.type != "cpu":
        return
    fits = (steps > 0) & (steps < torch.inf)
    if measured:
        fits |= steps.isnan()
    if not bool(fits.all()):
        raise KernelError(
            f"kernel '{kernel}' got {name} with the element {steps[~fits].flatten()[0].item()}; "
            "allowed: positive finite steps; calibrate the range again on data without NaN"
        )


def need_device(kernel: str, first: torch.Tensor, others: dict[str, torch.Tensor | None]) -> None:
    """Refuse operands on another device than the first.

    Raises:
        KernelError: one lies elsewhere.
    """
    for name, tensor in others.items():
        if tensor is not None and tensor.device != first.device:
            raise KernelError(
                f"kernel '{kernel}' got {name} on {tensor.device} and its input on {first.device}; "
                f"allowed: one device; move it with .to('{first.device}')"
            )


def need_epilogue(
    kernel: str,
    shape: Sequence[int],
    bias: torch.Tensor | None,
    residual: torch.Tensor | None,
    activation: str,
    out_dtype: torch.dtype,
) -> None:
    """Refuse a bias, residual, activation or output type that the fused epilogue cannot take.

    Args:
        kernel: name for the message.
        shape: (..., n) of the output.
        bias: (n,) or None.
        residual: of the shape of the output, or None.
        activation: one of ``ACTIVATIONS``.
        out_dtype: one of ``FLOATS``.

    Raises:
        KernelError: one of them does not fit.
    """
    if bias is not None:
        need_dtype(kernel, "bias", bias, FLOATS)
        need_shape(kernel, "bias", bias, shape[-1:], "(n,)")
    if residual is not None:
        need_dtype(kernel, "residual", residual, FLOATS)
        need_shape(kernel, "residual", residual, shape, "the shape of the output")
    need_one_of(kernel, "activation", activation, ACTIVATIONS)
    need_one_of(kernel, "out_dtype", out_dtype, FLOATS)
