"""Cases of ``w8a8_conv``: ragged maps, groups, paddings, every epilogue, sums at the edge of int32."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import NamedTuple

import torch

from automl.kernels.cases import EXACT
from automl.kernels.cases import Bound
from automl.kernels.cases import Case
from automl.kernels.cases import output_bound
from automl.kernels.w8a8_conv.reference import LONGEST
from automl.kernels.w8a8_conv.reference import output_shape
from automl.kernels.w8a8_conv.reference import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["Layer", "arguments_of", "bound", "cases"]


class Layer(NamedTuple):
    """Sizes of one convolution; pairs are (height, width), a padding may have four sides."""

    batch: int = 2
    channels: int = 8
    outputs: int = 12
    map: tuple[int, int] = (9, 7)
    window: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, ...] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1


_LAYERS = (
    Layer(1, 1, 1, (1, 1), (1, 1), padding=(0, 0)),
    Layer(0),
    Layer(3, 3, 5, (13, 11), (3, 2), (2, 1), (1, 0)),
    Layer(1, 16, 32, (8, 8), (1, 1), padding=(0, 0)),
    Layer(2, 16, 16, (10, 9), groups=16),
    Layer(2, 5, 10, (10, 9), (5, 5), (2, 2), (2, 2), groups=5),
    Layer(1, 12, 8, (11, 6), padding=(2, 1), dilation=(2, 1), groups=4),
    Layer(1, 33, 70, (5, 4)),
    Layer(2, 8, 8, (9, 9), stride=(2, 2), padding=(0, 1, 0, 1), groups=8),
    Layer(1, 4, 4, (3, 3), (7, 7), padding=(3, 3)),
    Layer(1, 8, 8, (182, 181), stride=(2, 2), padding=(0, 1, 0, 1), groups=8),
    Layer(1, 8, 8, (182, 181), (2, 3), padding=(1, 1), dilation=(2, 1), groups=8),
)


def bound(arguments: dict[str, Any], implementation: str = "cpu") -> Bound:
    """Return the stated bound: eight float32 roundings of the largest term, half an output step, or a code.

    The sum of codes and the term of the input's zero point are rounded apart, so both count.
    """
    plain = {**arguments, "bias": None, "residual": None, "activation": "none", "out_dtype": torch.float32}
    codes = run(**{**plain, "x_zero": 0}).abs()
    sums = arguments["w"].double().flatten(1).sum(1) * arguments["w_scale"].double()
    terms = [codes, (sums * float(arguments["x_scale"]) * arguments["x_zero"]).abs()]
    terms += [] if arguments["bias"] is None else [arguments["bias"].double().abs()]
    if arguments["residual"] is not None:
        whole = arguments["residual"].double() - arguments["residual_zero"]
        terms.append(whole.abs() * arguments["residual_step"])
    peak = sum(float(t.max()) if t.numel() else 0.0 for t in terms)
    if arguments["out_dtype"] == torch.uint8:
        return Bound(1.0)  # A number at the middle between two codes may go to either.
    steps = 8 if arguments["activation"] in {"none", "relu", "relu6"} else 16
    return output_bound(steps * 2.0**-24 * peak, arguments["out_dtype"], implementation)


def arguments_of(layer: Layer, *, seed: int, zero: int = 0, exact: bool = False) -> dict[str, Any]:
    """Return random operands of a layer; ``exact`` gives powers of two as steps, which float32 multiplies."""
    g = torch.Generator().manual_seed(seed)
    wide = (layer.batch, layer.channels, *layer.map)
    w = (layer.outputs, layer.channels // layer.groups, *layer.window)
    powers = 2.0 ** -torch.randint(6, 10, (layer.outputs,), generator=g).float()
    return {
        "x": torch.randint(0, 256, wide, generator=g).to(torch.uint8),
        "x_scale": torch.tensor(0.25) if exact else torch.rand((), generator=g).add(0.01),
        "x_zero": zero,
        "w": torch.randint(-128, 128, w, generator=g).to(torch.int8),
        "w_scale": powers if exact else torch.rand(layer.outputs, generator=g).add(1).div(64),
        "bias": None,
        "residual": None,
        "residual_step": 1.0,
        "residual_zero": 0,
        "stride": list(layer.stride),
        "padding": list(layer.padding),
        "dilation": list(layer.dilation),
        "groups": layer.groups,
        "activation": "none",
        "out_dtype": torch.float32,
        "out_step": 1.0,
        "out_zero": 0,
    }


def _residual(arguments: dict[str, Any], g: torch.Generator, *, codes: bool) -> dict[str, Any]:
    geometry = (arguments[n] for n in ("stride", "padding", "dilation"))
    shape = output_shape(arguments["x"].shape, arguments["w"].shape, *geometry)
    if not codes:
        return {"residual": torch.randn(shape, generator=g)}
    made = torch.randint(0, 256, shape, generator=g).to(torch.uint8)
    return {"residual": made, "residual_step": 0.5, "residual_zero": 93}


def cases() -> Iterator[Case]:
    """Yield the cases."""
    for index, layer in enumerate(_LAYERS):
        for zero in (0, 131):
            numbers = arguments_of(layer, seed=index, zero=zero)
            yield Case(f"{index}-zero-{zero}", numbers, bound(numbers))
            # Steps that are powers of two leave nothing to round but the codes themselves, ties included.
            codes = {"out_dtype": torch.uint8, "out_step": 16.0, "out_zero": 120}
            exact = arguments_of(layer, seed=index, zero=zero, exact=True)
            yield Case(f"{index}-codes-{zero}", {**exact, **codes}, EXACT)
    yield from _epilogues()
    yield from _layouts()
    yield from _edges()


def _epilogues() -> Iterator[Case]:
    g = torch.Generator().manual_seed(99)
    for activation in ("none", "relu", "relu6", "silu", "hardswish"):
        for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.uint8):
            plain = arguments_of(Layer(), seed=5, zero=17) | {"activation": activation, "out_dtype": dtype}
            plain |= {"out_step": 0.75, "out_zero": 9} if dtype == torch.uint8 else {}
            plain["bias"] = torch.randn(12, generator=g)
            for extra in ({}, _residual(plain, g, codes=False), _residual(plain, g, codes=True)):
                numbers = {**plain, **extra}
                name = f"{activation}-{dtype}-{numbers['residual_zero'] if extra else 'alone'}"
                yield Case(name, numbers, bound(numbers))
    for activation in ("none", "relu"):
        exact = arguments_of(Layer(), seed=6, zero=17, exact=True) | {"activation": activation}
        exact |= _residual(exact, g, codes=True)
        yield Case(f"added-codes-{activation}", {**exact, "out_dtype": torch.uint8, "out_step": 8.0}, EXACT)


def _layouts() -> Iterator[Case]:
    plain = arguments_of(Layer(), seed=7, zero=200)
    last = plain["x"].contiguous(memory_format=torch.channels_last)
    yield Case("channels-last", {**plain, "x": last}, bound(plain))
    turned = plain["x"].permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    kernel = plain["w"].permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0)
    yield Case("strided", {**plain, "x": turned, "w": kernel}, bound(plain))


def _edges() -> Iterator[Case]:
    unit = arguments_of(Layer(), seed=8, zero=77)
    unit.update(x_scale=torch.tensor(1.0), w_scale=torch.ones(12))
    yield Case("unit-scales", unit)
    edge = arguments_of(Layer(1, LONGEST, 2, (1, 1), (1, 1), padding=(0, 0)), seed=9)
    edge["x"].fill_(255)
    edge["w"].fill_(-128)
    edge.update(x_scale=torch.tensor(1.0), w_scale=torch.ones(2))
    yield Case("longest-sum", edge, Bound(relative=2.0**-24))
