"""``w8a16_linear`` in Triton: the shared weight-only kernel at 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.kernels.weight_only import triton_impl as weight_only
from automl.kernels.weight_only.weight import run_of

if TYPE_CHECKING:
    from automl.kernels.builds import Build

__all__ = ["builds", "run"]

#: (m, n) of the type of ``x``, accumulated in float32.
run = run_of(8, weight_only.product)


def builds() -> tuple[Build, ...]:
    """Return the shipped configurations."""
    return weight_only.builds(8)
