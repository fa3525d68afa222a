"""Cases of ``quantize_rows``: short, odd and long rows, every type, zero and bad rows, static scales."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from automl.kernels.cases import Case

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cases"]


def _values(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).mul_(3).to(dtype)


def cases() -> Iterator[Case]:
    """Yield the cases; all are exact."""
    for fmt in ("int8", "fp8_e4m3"):
        for granularity in ("row", "tensor"):
            for dtype in (torch.float32, torch.float16, torch.bfloat16):
                for shape in ((1, 1), (3, 7), (5, 129), (2, 3, 33)):
                    x = _values(shape, dtype, seed=len(shape) + shape[-1])
                    arguments = {"x": x, "fmt": fmt, "granularity": granularity, "scale": None}
                    yield Case(f"{fmt}-{granularity}-{dtype}-{shape}", arguments)
        x = _values((4, 40), torch.float32, seed=1)
        row = {"fmt": fmt, "granularity": "row", "scale": None}
        yield Case(f"{fmt}-empty", {"x": x[:0], **row})
        yield Case(f"{fmt}-strided", {"x": x.t()[::2], **row})
        yield Case(f"{fmt}-long", {"x": _values((1, 9001), torch.float16, seed=2), **row})
        odd = x.clone()
        odd[0], odd[1, 3], odd[2, 5] = 0, torch.nan, torch.inf
        odd[3] = 1e-44
        yield Case(f"{fmt}-zero-nan-infinite-subnormal", {"x": odd, **row})
        scales = torch.tensor([0.01, 0.02, 1.0, 0.5])
        yield Case(f"{fmt}-static-row", {"x": x, "fmt": fmt, "granularity": "row", "scale": scales})
        one = torch.tensor(0.013)
        yield Case(f"{fmt}-static-tensor", {"x": x, "fmt": fmt, "granularity": "tensor", "scale": one})
        if fmt == "int8":
            shifted = {"x": odd, "fmt": fmt, "granularity": "tensor", "scale": one, "zero": -90}
            yield Case("int8-static-zero-point", shifted)
        ties = torch.arange(-300, 300).float().div(2).reshape(2, -1)
        yield Case(
            f"{fmt}-ties", {"x": ties, "fmt": fmt, "granularity": "tensor", "scale": torch.tensor(1.0)}
        )
