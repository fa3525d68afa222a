"""Triton's own state and compiler, behind functions that name no type of Triton."""

from __future__ import annotations

import triton

__all__ = ["interpreting"]


def interpreting() -> bool:
    """Return whether Triton runs kernels in its interpreter (``TRITON_INTERPRET=1``), on CPU tensors."""
    return bool(triton.knobs.runtime.interpret)
