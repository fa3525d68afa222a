"""The definition of ``w8a16_linear``, in float64."""

from __future__ import annotations

from automl.kernels.weight_only.reference import product
from automl.kernels.weight_only.weight import run_of

__all__ = ["run"]

#: (m, n) float64, the exact number that the output type rounds.
run = run_of(8, product)
