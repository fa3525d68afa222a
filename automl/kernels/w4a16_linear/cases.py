"""Cases of ``w4a16_linear``; the weight-only products share them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.kernels.weight_only import cases as shared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automl.kernels.cases import Case

__all__ = ["cases"]


def cases() -> Iterator[Case]:
    """Yield the cases."""
    yield from shared.cases(4)
