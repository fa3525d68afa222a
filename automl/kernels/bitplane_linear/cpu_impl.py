"""``bitplane_linear`` on the CPU: population counts of 64-bit words for few planes, else one int8 product.

Counts read p bits a weight where the int8 product reads 8, and cost in proportion to p q, so they win at few
rows and planes: compiled ones (AVX-512 VPOPCNTDQ) up to ``NATIVE_COUNTS`` pairs of planes, NumPy's up to a
single pair. Beyond, the same integers come faster from oneDNN's int8 product (AMX, VNNI), whatever the bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from automl.kernels.bitplane_linear.native_impl import native_planes
from automl.kernels.bitplane_linear.planes_math import offset
from automl.kernels.bitplane_linear.planes_math import plane_weights
from automl.kernels.bitplane_linear.planes_math import unpack_planes
from automl.kernels.checks import need_steps

if TYPE_CHECKING:
    from automl.kernels.bitplane_linear.native_impl import NativePlanes

__all__ = ["MOST_COUNTS", "NATIVE_COUNTS", "PackedPlanes", "counted", "multiplied", "pack", "run"]

#: Rows times weight planes times input planes up to which NumPy's counts are faster than the int8 product.
MOST_COUNTS = 1

#: The same for the compiled counts.
NATIVE_COUNTS = 48

#: Columns counted at a time, so that the words in work stay in the first-level caches.
_CHUNK = 1024


@dataclass(frozen=True)
class PackedPlanes:
    """A weight in both forms, p / 8 + 1 bytes a code.

    Args:
        words: (p, ceil(k / 64), n) uint64, bit j of word i being code 64 i + j.
        codes: (n, k) int8, the codes less ``shift``.
        shift: 128 when the codes are 8 bits unsigned, else 0.
        sums: (n,) int32, sums of the true codes.
        inner: k.
        kind: one of ``planes_math.KINDS``.
        scale: (n,) float32, or None for 1.
        zero: (n,) int32 zero points, or None.
        bias: (n,) float32, or None.
        out_dtype: type of the result; int32 gives the plain sums.
        native: the compiled product, or None.
    """

    words: np.ndarray
    codes: torch.Tensor
    shift: int
    sums: torch.Tensor
    inner: int
    kind: str
    scale: torch.Tensor | None
    zero: torch.Tensor | None
    bias: torch.Tensor | None
    out_dtype: torch.dtype
    native: NativePlanes | None = None

    def __call__(
        self,
        x: torch.Tensor,
        x_scale: torch.Tensor | None,
        x_zero: torch.Tensor | None,
        x_bits: int,
        x_kind: str,
    ) -> torch.Tensor:
        """Return (m, n) of ``out_dtype`` for codes (m, k), by whichever way is faster."""
        pairs = x.shape[0] * x_bits * self.words.shape[0]
        if self.native is not None and pairs <= NATIVE_COUNTS:
            integers = self.out_dtype == torch.int32
            y = self.native(x, x_scale, x_zero, x_bits, x_kind, integers=integers)
            return y if integers else y.to(self.out_dtype)
        few = self.native is None and pairs <= MOST_COUNTS
        total = (
            counted(self, x, x_zero, x_bits, x_kind) if few else multiplied(self, x, x_zero, x_bits, x_kind)
        )
        if self.out_dtype == torch.int32:
            return total
        y = total.float()
        if x_scale is not None:
            y *= x_scale.unsqueeze(-1) if x_scale.dim() else x_scale
        if self.scale is not None:
            y *= self.scale
        if self.bias is not None:
            y += self.bias
        return y.to(self.out_dtype)


def pack(
    planes: torch.Tensor,
    inner: int,
    kind: str,
    *,
    scale: torch.Tensor | None = None,
    zero: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    out_dtype: torch.dtype = torch.float32,
) -> PackedPlanes:
    """Return the weight ready for any number of products.

    Args:
        planes: (p, ceil(k / 32), n) int32 of ``planes_math.pack_planes``.
        inner: k.
        kind: one of ``planes_math.KINDS``.
        scale: (n,) float32 steps.
        zero: (n,) int32 zero points.
        bias: (n,).
        out_dtype: int32, float32, float16 or bfloat16.

    Raises:
        KernelError: a scale is not positive and finite.
    """
    if scale is not None:
        need_steps("bitplane_linear", "w_scale", scale)
    halves = planes.numpy().view(np.uint32)
    halves = np.pad(halves, ((0, 0), (0, halves.shape[1] % 2), (0, 0))).astype(np.uint64)
    words = halves[:, 0::2] | halves[:, 1::2] << np.uint64(32)
    codes = unpack_planes(planes, inner, kind)
    sums = codes.sum(-1, dtype=torch.int32)
    wide_bias = None if bias is None else bias.float()
    shift = 128 if kind == "unsigned" and planes.shape[0] == 8 else 0
    return PackedPlanes(
        np.ascontiguousarray(words),
        (codes - shift).to(torch.int8),
        shift,
        sums,
        inner,
        kind,
        scale,
        zero,
        wide_bias,
        out_dtype,
        native_planes(words, sums, inner, kind, scale=scale, zero=zero, bias=wide_bias),
    )


def _input_words(x: torch.Tensor, bits: int, kind: str) -> np.ndarray:
    """Return (bits, words, m) uint64 of codes (m, k)."""
    codes = (x > 0).numpy() if kind == "binary" else x.contiguous().numpy().view(np.uint8)
    rows, inner = x.shape
    bytes_ = np.zeros((bits, rows, -(-inner // 64) * 8), np.uint8)
    for plane in range(bits):
        picked = codes if kind == "binary" else codes & np.uint8(1 << plane)
        bytes_[plane, :, : -(-inner // 8)] = np.packbits(picked, axis=1, bitorder="little")
    return np.ascontiguousarray(bytes_.view(np.dtype("<u8")).transpose(0, 2, 1))


def counted(
    weight: PackedPlanes, x: torch.Tensor, x_zero: torch.Tensor | None, x_bits: int, x_kind: str
) -> torch.Tensor:
    """Return the int32 sums (m, n) by population counts: p q of them, each over k / 64 words."""
    if weight.native is not None:
        return weight.native(x, None, x_zero, x_bits, x_kind, integers=True)
    held = _input_words(x, x_bits, x_kind)
    xnor = x_kind == weight.kind == "binary"
    combine = np.bitwise_xor if xnor else np.bitwise_and
    x_weights = plane_weights(x_bits, x_kind)
    w_weights = plane_weights(weight.words.shape[0], weight.kind)
    columns = weight.words.shape[2]
    total = np.zeros((x.shape[0], columns), np.int32)
    both = np.empty((held.shape[1], min(_CHUNK, columns)), np.uint64)
    ones = np.empty(both.shape, np.uint8)
    # A word counts at most 64, so 1,023 of them fit 16 bits.
    narrow = np.uint16 if held.shape[1] < 1024 else np.int32
    for start in range(0, columns, _CHUNK):
        stop = min(start + _CHUNK, columns)
        word, count = both[:, : stop - start], ones[:, : stop - start]
        for w_plane, w_weight in zip(weight.words, w_weights, strict=True):
            for row, sums in enumerate(total):
                for x_plane, x_weight in zip(held, x_weights, strict=True):
                    combine(w_plane[:, start:stop], x_plane[:, row, None], out=word)
                    np.bitwise_count(word, out=count)
                    found = np.add.reduce(count, axis=0, dtype=narrow).astype(np.int32)
                    sums[start:stop] += found if xnor else found * np.int32(w_weight * x_weight)
    result = torch.from_numpy(total)
    if xnor:
        return weight.inner - 2 * result
    return _less_zeros(weight, result, x, (offset(x_kind), offset(weight.kind)), x_zero)


def multiplied(
    weight: PackedPlanes, x: torch.Tensor, x_zero: torch.Tensor | None, x_bits: int, x_kind: str
) -> torch.Tensor:
    """Return the int32 sums (m, n) by one int8 product; unsigned 8-bit codes are moved into its range."""
    shift = 128 if x_kind == "unsigned" and x_bits == 8 else 0
    # Flipping the top bit of an unsigned byte takes 128 from it.
    codes = (x ^ 128).view(torch.int8) if shift else x.view(torch.int8)
    total = torch._int_mm(codes.contiguous(), weight.codes.t())
    return _less_zeros(weight, total, x, (-shift, -weight.shift), x_zero)


def _less_zeros(
    weight: PackedPlanes,
    total: torch.Tensor,
    x: torch.Tensor,
    moved: tuple[int, int],
    x_zero: torch.Tensor | None,
) -> torch.Tensor:
    """Return ``sum (a - a0)(b - b0)`` from ``total = sum a b``.

    ``a = x + moved[0]`` and ``b = w + moved[1]`` are what was multiplied, ``a0`` and ``b0`` the zero points
    moved alike. Sums wrap; only the last one must fit int32, and it does.
    """
    x_less = moved[0] if x_zero is None else x_zero + moved[0]
    w_less = moved[1] if weight.zero is None else weight.zero + moved[1]
    if isinstance(x_less, torch.Tensor):
        x_less = x_less.to(torch.int32).unsqueeze(-1)
    if isinstance(w_less, torch.Tensor) or w_less:
        rows = x.sum(-1, dtype=torch.int32).unsqueeze(-1) + weight.inner * (moved[0] - x_less)
        total = total - rows * w_less
    if isinstance(x_less, torch.Tensor) or x_less:
        total = total - x_less * (weight.sums + weight.inner * moved[1])
    return total


def run(
    x: torch.Tensor,
    planes: torch.Tensor,
    x_scale: torch.Tensor | None,
    w_scale: torch.Tensor | None,
    x_zero: torch.Tensor | None,
    w_zero: torch.Tensor | None,
    bias: torch.Tensor | None,
    x_bits: int,
    x_kind: str,
    w_kind: str,
    out_dtype: torch.dtype,
) -> torch.Tensor:
    """Return (m, n) of ``out_dtype``; packs the weight every time, so modules call ``pack`` once instead."""
    if x.shape[0] == 0 or planes.shape[2] == 0:
        return torch.empty((x.shape[0], planes.shape[2]), dtype=out_dtype)
    weight = pack(
        planes.contiguous(), x.shape[1], w_kind, scale=w_scale, zero=w_zero, bias=bias, out_dtype=out_dtype
    )
    return weight(x, x_scale, x_zero, x_bits, x_kind)
