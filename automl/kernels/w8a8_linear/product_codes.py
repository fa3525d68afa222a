"""Codes in the form for which oneDNN has a fast product on this processor.

With VNNI alone (no AMX) oneDNN 3.12 multiplies unsigned by signed bytes; both signed goes to its reference
loops: 400 ms instead of 0.13 for 16 x 768 by 768 x 3072. The same integers as unsigned codes with the zero
point 128 give the same exact sums.
"""

from __future__ import annotations

from functools import cache

import torch

__all__ = ["product_codes", "wants_unsigned"]


@cache
def wants_unsigned() -> bool:
    """Return whether the fast product of this processor takes unsigned codes alone."""
    has = torch.cpu.get_capabilities()
    unsigned = has.get("avx512_vnni") or has.get("avx_vnni")
    signed = has.get("amx_int8") or has.get("avx_vnni_int8") or has.get("avx10_2")
    return bool(unsigned) and not signed


def product_codes(x: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Return codes (int8, any shape) and their zero point: as they are with 0, or 128 more as uint8."""
    return (x.view(torch.uint8).bitwise_xor(128), 128) if wants_unsigned() else (x, 0)
