"""``w8a16_linear`` on the CPU: the packed product for a few rows, bfloat16 beyond."""

from __future__ import annotations

from automl.kernels.weight_only.cpu_impl import product
from automl.kernels.weight_only.weight import run_of

__all__ = ["run"]

#: (m, n) of the type of ``x``; packs on every call, so modules pack once instead.
run = run_of(8, product)
