"""Cases of ``w4a8_linear``: three forms of scales, ragged shapes and groups, sums at the edge of int32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from automl.kernels.cases import Bound
from automl.kernels.cases import Case
from automl.kernels.cases import output_bound
from automl.kernels.w4a8_linear.reference import run
from automl.kernels.w4a8_linear.scales_math import integer_scales
from automl.kernels.w4a8_linear.scales_math import pack_signed
from automl.kernels.w4a8_linear.scales_math import unpack_signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["FORMS", "bound", "cases", "make_arguments"]

FORMS = ("channel", "integer", "float")

_SHAPES = (
    (1, 1, 1, 2),
    (1, 64, 32, 32),
    (3, 7, 5, 4),
    (17, 33, 19, 16),
    (5, 130, 70, 48),
    (33, 200, 24, 64),
    (0, 24, 8, 8),
    (2, 20, 3, 5),
)


def make_arguments(shape: tuple[int, int, int, int], form: str, seed: int) -> dict[str, Any]:
    """Return arguments of ``run`` with random codes.

    Args:
        shape: rows, inner, columns, group.
        form: one of ``FORMS``.
        seed: of the values.
    """
    rows, inner, columns, group = shape
    g = torch.Generator().manual_seed(seed)
    group = inner if form == "channel" else group
    scale = torch.rand(columns, -(-inner // group), generator=g).add_(0.1).div_(64)
    alpha = 0
    if form == "integer":
        scale, alpha = integer_scales(scale, group, inner)
    return {
        "x": torch.randint(-128, 128, (rows, inner), generator=g).to(torch.int8),
        "x_scale": torch.rand(rows, generator=g),
        "codes": pack_signed(torch.randint(-8, 8, (columns, inner), generator=g)),
        "scale": scale,
        "group": group,
        "alpha": alpha,
        "bias": None,
        "residual": None,
        "activation": "none",
        "out_dtype": torch.float32,
    }


def bound(arguments: dict[str, Any], implementation: str) -> Bound:
    """Return the stated bound: float32 roundings of the epilogue, and with float scales of every group."""
    a = arguments
    inner = a["x"].shape[1]
    sizes = {
        **a,
        "x": a["x"].abs(),
        "codes": pack_signed(unpack_signed(a["codes"], inner).abs().clamp_max(7)),
    }
    plain = {"bias": None, "residual": None, "activation": "none"}
    # The size of -128 and of -8 is cut by one above; a seventh more covers both.
    terms = [run(**{**sizes, **plain}).abs() * 8 / 7]
    terms += [t.double().abs() for t in (a["bias"], a["residual"]) if t is not None]
    peak = sum(float(t.max()) if t.numel() else 0.0 for t in terms)
    steps = 6 if a["activation"] in {"none", "relu"} else 16
    if not a["alpha"]:
        steps += 2 * a["scale"].shape[1]
    return output_bound(steps * 2.0**-24 * peak, a["out_dtype"], implementation)


def _case(name: str, arguments: dict[str, Any]) -> Case:
    return Case(name, arguments, bounds={which: bound(arguments, which) for which in ("cpu", "triton")})


def cases() -> Iterator[Case]:
    """Yield the cases."""
    for form in FORMS:
        for index, shape in enumerate(_SHAPES):
            yield _case(f"{form}-{shape}", make_arguments(shape, form, seed=index))
        plain = make_arguments((17, 33, 19, 16), form, seed=20)
        g = torch.Generator().manual_seed(21)
        more = {"bias": torch.randn(19, generator=g), "residual": torch.randn(17, 19, generator=g)}
        for activation in ("none", "relu", "gelu", "silu"):
            for out_dtype in (torch.float32, torch.float16, torch.bfloat16):
                arguments = {**plain, **more, "activation": activation, "out_dtype": out_dtype}
                yield _case(f"{form}-{activation}-{out_dtype}", arguments)
        yield _case(f"{form}-strided", {**plain, "x": plain["x"].t().contiguous().t()})
        yield _case(f"{form}-tensor-scale", {**plain, "x_scale": torch.tensor(0.3)})
    edge = make_arguments((1, 256, 2, 128), "integer", seed=8)
    edge["x"].fill_(-128)
    edge["codes"].fill_(0x88)
    # 128 * 8 * 128 * (S_0 + S_1) = 2^31 - 2^17, the largest multiple of 2^17 below 2^31.
    edge.update(x_scale=torch.tensor(1.0), alpha=1)
    edge["scale"] = torch.tensor([[8191, 8192], [1, 16382]], dtype=torch.int32)
    yield Case("integer-largest-sum", edge)
