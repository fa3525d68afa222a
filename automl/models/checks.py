"""Checks of a model before the engine spends time on it: weights, example inputs, outputs."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import torch

from automl.core.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

__all__ = ["check_outputs", "check_weights", "parse_input_shape", "parse_input_shapes", "shape_text"]

# What a forward pass raises when the input does not fit; anything else is a defect that should be seen.
_FORWARD_ERRORS = (
    RuntimeError,
    TypeError,
    ValueError,
    IndexError,
    KeyError,
    AttributeError,
    AssertionError,
    NotImplementedError,
)


def parse_input_shape(text: str) -> tuple[int, ...]:
    """Return the shape that ``text`` states, such as ``1x3x32x32``, batch first.

    Raises:
        ModelError: not positive integers joined by ``x``, or the batch is not 1.
    """
    parts = text.strip().lower().split("x")
    if not all(re.fullmatch(r"[1-9]\d*", part) for part in parts):
        raise ModelError(
            f"cannot read the input shape '{text}': give positive sizes joined by x, batch first, "
            "for example 1x3x224x224"
        )
    shape = tuple(int(part) for part in parts)
    if shape[0] != 1:
        raise ModelError(f"input shape '{text}': the first size is the batch and must be 1; write 1x...")
    return shape


def parse_input_shapes(text: str) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of all inputs from text such as ``1x128,1x128``.

    Raises:
        ModelError: as :func:`parse_input_shape`.
    """
    return tuple(parse_input_shape(part) for part in text.split(","))


def shape_text(shapes: Sequence[Sequence[int]]) -> str:
    """Return shapes as the command line takes them: ``1x3x32x32`` joined by commas."""
    return ",".join("x".join(str(int(size)) for size in shape) for shape in shapes)


def check_weights(module: nn.Module, name: str) -> None:
    """Raise ModelError when a parameter or buffer of ``module`` holds NaN or infinite values."""
    for key, tensor in (*module.named_parameters(), *module.named_buffers()):
        if not tensor.is_floating_point() or not tensor.numel() or all_finite(tensor):
            continue
        count = int((~torch.isfinite(tensor)).sum())
        raise ModelError(
            f"model '{name}': the weight '{key}' holds {count} NaN or infinite values; weights must be "
            "finite, "
            "so load an undamaged checkpoint"
        )


def all_finite(tensor: torch.Tensor) -> bool:
    """Return whether no value is NaN or infinite, by the extremes: one pass, no mask of the tensor."""
    values = tensor.detach()
    low, high = torch.aminmax(values.float() if values.element_size() == 1 else values)
    return math.isfinite(low) and math.isfinite(high)


def check_outputs(module: nn.Module, inputs: Sequence[torch.Tensor], name: str) -> tuple[torch.Tensor, ...]:
    """Return the outputs of ``module`` on ``inputs``, always as a tuple.

    Raises:
        ModelError: the forward pass fails, returns something other than tensors, or gives NaN.
    """
    shapes = shape_text([t.shape for t in inputs])
    try:
        with torch.inference_mode():
            result = module(*inputs)
    except _FORWARD_ERRORS as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"model '{name}' does not accept an input of shape {shapes} ({type(error).__name__}: {reason}); "
            "give the shape it takes with --input, for example --input 1x3x32x32"
        ) from error
    outputs = tuple(result) if isinstance(result, (tuple, list)) else (result,)
    for output in outputs:
        if not isinstance(output, torch.Tensor):
            raise ModelError(
                f"model '{name}' returns a {type(output).__name__}; it must return a tensor or a tuple of "
                "tensors, "
                "so wrap it in a module that does"
            )
        if output.is_floating_point() and not bool(torch.isfinite(output).all()):
            raise ModelError(
                f"model '{name}' gives NaN or infinite outputs on an input of shape {shapes}; "
                "its outputs must be finite, so check weights and input"
            )
    return outputs
