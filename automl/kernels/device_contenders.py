"""The kernels on a device next to what torch has for the same product, for one shape."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from typing import Any

import torch

from automl.core.errors import KernelError
from automl.core.errors import unknown_name
from automl.kernels import table
from automl.kernels.bitplane_linear.cases import arguments_of as bitplane_arguments
from automl.kernels.block_sparse_linear.cases import arguments_of as block_arguments
from automl.kernels.nm_linear.cases import arguments_of as nm_arguments
from automl.kernels.w4a8_linear.cases import make_arguments as w4a8_arguments
from automl.kernels.weight_only.cases import make_arguments as weight_only_arguments

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping

    Call = Callable[[], object]
    Shape = tuple[int, int, int]

__all__ = ["CONTESTS", "OURS", "SHAPES", "Contest", "contest"]

#: Our call.
OURS = "automl"

#: (m, k, n): one token, a few, a prompt, a convolution of 64 channels as a product over its windows.
SHAPES = ((1, 4096, 4096), (16, 4096, 4096), (2048, 4096, 4096), (12544, 576, 64))

_GROUP = 128
_BLOCK = (64, 64)
_SPARSITY = 0.75
_HALF = torch.bfloat16


@dataclass(frozen=True)
class Contest:
    """Calls of equal work.

    Args:
        kernel: name.
        calls: name -> call, ours first; the others are torch's.
        missing: torch's calls that cannot run here, with the reason.
        peak: type of the matrix units that could compute it fastest; empty where none do.
        macs: multiply-accumulates in those units.
        moved: bytes of every operand and of the result, once.
    """

    kernel: str
    calls: Mapping[str, Call]
    missing: Mapping[str, str]
    peak: str
    macs: float
    moved: int


@dataclass(frozen=True)
class _Entry:
    """How a kernel enters: its arguments, what torch has instead, and what bounds it."""

    arguments: Callable[[Shape, int], dict[str, Any]]
    rivals: Callable[[Shape, dict[str, Any]], dict[str, Call]]
    peak: str
    density: float = 1.0


def contest(kernel: str, shape: Shape, device: str, seed: int = 0) -> Contest:
    """Return the calls of a kernel and its rivals on operands of their own.

    Args:
        kernel: one of ``CONTESTS``.
        shape: (m, k, n).
        device: torch device.
        seed: of the values.

    Raises:
        KernelError: there is no contest of that name.
    """
    if kernel not in CONTESTS:
        raise KernelError(unknown_name("kernel with a contest", kernel, CONTESTS))
    entry = CONTESTS[kernel]
    made = entry.arguments(shape, seed)
    arguments = {n: v.to(device) if isinstance(v, torch.Tensor) else v for n, v in made.items()}
    ours = partial(table.implementation(kernel, "triton"), **arguments)
    calls: dict[str, Call] = {OURS: ours}
    missing: dict[str, str] = {}
    for name, call in entry.rivals(shape, arguments).items():
        try:
            call()
        except (RuntimeError, NotImplementedError) as error:
            missing[name] = str(error).partition("\n")[0][:200]
        else:
            calls[name] = call
    result = ours()
    tensors = [*arguments.values(), *(result if isinstance(result, tuple) else (result,))]
    moved = sum(t.nbytes for t in tensors if isinstance(t, torch.Tensor))
    m, k, n = shape
    return Contest(
        kernel, calls, missing, entry.peak, m * k * n * entry.density if entry.peak else 0.0, moved
    )


def _half_product(shape: Shape, arguments: dict[str, Any]) -> Call:
    """Return the dense product in bfloat16, which every other type is to beat."""
    m, k, n = shape
    place, g = arguments["x"].device, torch.Generator().manual_seed(m + n)
    x, w = (torch.randn(rows, k, generator=g).to(place, _HALF) for rows in (m, n))
    return lambda: torch.nn.functional.linear(x, w)


def _int8_product(shape: Shape, arguments: dict[str, Any]) -> Call:
    """Return torch's product of int8 codes with the scaling of its sums behind it."""
    m, k, n = shape
    place, g = arguments["x"].device, torch.Generator().manual_seed(m + n)
    x, w = (torch.randint(-128, 128, (r, k), generator=g).to(place, torch.int8) for r in (m, n))
    x_scale, w_scale = torch.rand(m, 1, generator=g).to(place), torch.rand(n, generator=g).to(place)
    turned = w.t()
    return lambda: (torch._int_mm(x, turned) * x_scale * w_scale).to(_HALF)


def _integer_rivals(shape: Shape, arguments: dict[str, Any]) -> dict[str, Call]:
    return {
        "bf16 F.linear": _half_product(shape, arguments),
        "_int_mm and scales": _int8_product(shape, arguments),
    }


def _eight_bit_rivals(shape: Shape, arguments: dict[str, Any]) -> dict[str, Call]:
    x, codes, scale = arguments["x"], arguments["codes"], arguments["scale"]
    steps = scale.reshape(-1)
    return {
        "bf16 F.linear": _half_product(shape, arguments),
        "_weight_int8pack_mm": lambda: torch._weight_int8pack_mm(x, codes, steps),
    }


def _four_bit_rivals(shape: Shape, arguments: dict[str, Any]) -> dict[str, Call]:
    x, codes, scale = arguments["x"], arguments["codes"], arguments["scale"]
    # Its own order of the same nibbles, and a zero point beside every scale.
    halves = torch.stack([scale, torch.zeros_like(scale)], dim=-1).transpose(0, 1).contiguous()
    packed: list[torch.Tensor] = []

    def product() -> torch.Tensor:
        if not packed:
            packed.append(torch._convert_weight_to_int4pack(codes, 8))
        return torch._weight_int4pack_mm(x, packed[0], _GROUP, halves)

    return {"bf16 F.linear": _half_product(shape, arguments), "_weight_int4pack_mm": product}


def _sparse_rivals(shape: Shape, arguments: dict[str, Any]) -> dict[str, Call]:
    from automl.kernels.nm_linear.nm_math import unpack_nm

    x = arguments["x"]
    dense = unpack_nm(arguments["values"].cpu(), arguments["mask"].cpu(), shape[1]).to(x.device)
    packed: list[torch.Tensor] = []

    def product() -> torch.Tensor:
        if not packed:
            packed.append(torch.sparse.to_sparse_semi_structured(dense))
        return torch.nn.functional.linear(x, packed[0])

    return {"bf16 F.linear": _half_product(shape, arguments), "semi-structured F.linear": product}


def _dense_rival(shape: Shape, arguments: dict[str, Any]) -> dict[str, Call]:
    return {"bf16 F.linear": _half_product(shape, arguments)}


def _rounding_rivals(shape: Shape, arguments: dict[str, Any]) -> dict[str, Call]:
    x = arguments["x"]

    def rounded() -> tuple[torch.Tensor, torch.Tensor]:
        step = x.abs().amax(dim=1, keepdim=True).float() / 127
        return (x / step).round_().clamp_(-127, 127).to(torch.int8), step

    return {"amax, divide, round": rounded}


def _fake_rivals(shape: Shape, arguments: dict[str, Any]) -> dict[str, Call]:
    a = arguments
    zero = torch.zeros_like(a["scale"], dtype=torch.int32)
    call = torch.fake_quantize_per_channel_affine
    return {
        "fake_quantize_per_channel_affine": lambda: call(a["x"], a["scale"], zero, 0, a["low"], a["high"])
    }


def _dense_codes(shape: Shape, seed: int) -> dict[str, Any]:
    m, k, n = shape
    g = torch.Generator().manual_seed(seed)
    return {
        "x": torch.randint(-128, 128, (m, k), generator=g).to(torch.int8),
        "x_scale": torch.rand(m, generator=g),
        "w": torch.randint(-128, 128, (n, k), generator=g).to(torch.int8),
        "w_scale": torch.rand(n, generator=g).div_(64),
        "bias": None,
        "residual": None,
        "activation": "none",
        "out_dtype": _HALF,
    }


def _rows(shape: Shape, seed: int) -> dict[str, Any]:
    x = torch.randn(shape[:2], generator=torch.Generator().manual_seed(seed)).to(_HALF)
    return {"x": x, "fmt": "int8", "granularity": "row", "scale": None}


def _channels(shape: Shape, seed: int) -> dict[str, Any]:
    _, k, n = shape
    g = torch.Generator().manual_seed(seed)
    return {
        "x": torch.randn(n, k, generator=g),
        "scale": torch.rand(n, generator=g).add_(0.01),
        "zero": None,
        "granularity": "channel",
        "axis": 0,
        "group": 1,
        "low": -127,
        "high": 127,
    }


def _weight_only(bits: int, shape: Shape, seed: int) -> dict[str, Any]:
    group = _GROUP if bits == 4 else shape[1]
    return weight_only_arguments(bits, (*shape, group), "symmetric", seed, _HALF)


def _blocks(shape: Shape, seed: int) -> dict[str, Any]:
    return block_arguments(shape, _BLOCK, _HALF, seed=seed, sparsity=_SPARSITY, out_dtype=_HALF)


#: Kernel -> how it enters. Bit planes are counted by no matrix unit, and rounding multiplies nothing.
CONTESTS: dict[str, _Entry] = {
    "block_sparse_linear": _Entry(_blocks, _dense_rival, "bf16", 1 - _SPARSITY),
    "nm_linear": _Entry(
        lambda shape, seed: nm_arguments(shape, "2:4", _HALF, seed=seed, out_dtype=_HALF),
        _sparse_rivals,
        "bf16",
        0.5,
    ),
    "bitplane_linear": _Entry(
        lambda shape, seed: bitplane_arguments(shape, (2, 2), ("unsigned", "signed"), seed=seed),
        _integer_rivals,
        "",
    ),
    "fake_quantize": _Entry(_channels, _fake_rivals, ""),
    "quantize_rows": _Entry(_rows, _rounding_rivals, ""),
    "w8a8_linear": _Entry(_dense_codes, _integer_rivals, "int8"),
    "w4a16_linear": _Entry(partial(_weight_only, 4), _four_bit_rivals, "bf16"),
    "w8a16_linear": _Entry(partial(_weight_only, 8), _eight_bit_rivals, "bf16"),
    "w4a8_linear": _Entry(
        lambda shape, seed: {**w4a8_arguments((*shape, _GROUP), "integer", seed), "out_dtype": _HALF},
        _integer_rivals,
        "int8",
    ),
}
