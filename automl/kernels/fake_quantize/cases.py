"""Cases of ``fake_quantize``: every granularity and type, short last groups, zero points, clipping, NaN."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import torch

from automl.kernels.cases import Case
from automl.kernels.fake_quantize.layout_math import scale_shape

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cases"]


def _arguments(
    shape: tuple[int, ...],
    granularity: str,
    dtype: torch.dtype,
    low: int,
    high: int,
    *,
    zeros: bool,
    axis: int = 0,
) -> dict[str, Any]:
    g = torch.Generator().manual_seed(sum(shape) + high)
    steps = scale_shape(shape, granularity, axis, 32)
    scale = torch.rand(steps, generator=g).mul_(0.2).add_(0.01)
    zero = torch.randint(low, high + 1, steps, generator=g, dtype=torch.int32) if zeros else None
    x = torch.randn(shape, generator=g).mul_(3).to(dtype)
    return {
        "x": x,
        "scale": scale,
        "zero": zero,
        "granularity": granularity,
        "axis": axis,
        "group": 32,
        "low": low,
        "high": high,
    }


def cases() -> Iterator[Case]:
    """Yield the cases; all are exact."""
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        for shape, granularity, axis in (
            ((7,), "tensor", 0),
            ((3, 5, 77), "tensor", 0),
            ((3, 77), "channel", 0),
            ((3, 77), "channel", 1),
            ((2, 5, 3, 7), "channel", 1),
            ((1, 1), "channel", 1),
            ((3, 1), "group", 0),
            ((4, 100), "group", 0),
            ((2, 3, 64), "group", 0),
        ):
            for low, high, zeros in ((-127, 127, False), (0, 255, True), (0, 1, True), (-32768, 65535, True)):
                arguments = _arguments(shape, granularity, dtype, low, high, zeros=zeros, axis=axis)
                yield Case(f"{granularity}-{axis}-{dtype}-{shape}-{low}-{high}", arguments)
    plain = _arguments((6, 90), "group", torch.float32, -8, 7, zeros=True)
    yield Case(
        "empty", {**plain, "x": plain["x"][:0], "scale": plain["scale"][:0], "zero": plain["zero"][:0]}
    )
    turned = plain["x"].t().contiguous().t()
    yield Case("strided", {**plain, "x": turned})
    odd = plain["x"].clone()
    odd[0, 0], odd[1, 1], odd[2, 2], odd[3, 3] = torch.nan, torch.inf, -torch.inf, 1e30
    yield Case("nan-infinite-huge", {**plain, "x": odd})
    ties = torch.arange(-40, 40).float().div(2).reshape(2, 40)
    yield Case(
        "ties",
        {
            **_arguments((2, 40), "tensor", torch.float32, -8, 7, zeros=False),
            "x": ties,
            "scale": torch.tensor(1.0),
        },
    )
