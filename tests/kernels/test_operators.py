"""What holds for every operator: registration, graphs around it, and refusals of steps."""

from __future__ import annotations

import pytest
import torch

from automl.core.errors import KernelError
from automl.kernels import table
from automl.kernels.bitplane_linear.op import bitplane_linear
from automl.kernels.bitplane_linear.planes_math import pack_planes
from automl.kernels.block_sparse_linear.blocks_math import pack_blocks
from automl.kernels.block_sparse_linear.blocks_math import prune_blocks
from automl.kernels.block_sparse_linear.op import block_sparse_linear
from automl.kernels.fake_quantize.op import fake_quantize
from automl.kernels.nm_linear.nm_math import pack_nm
from automl.kernels.nm_linear.nm_math import prune_nm
from automl.kernels.nm_linear.op import nm_linear
from automl.kernels.quantize_rows.op import quantize_rows
from automl.kernels.table import KERNELS
from automl.kernels.w4a8_linear.op import w4a8_linear
from automl.kernels.w4a8_linear.scales_math import integer_scales
from automl.kernels.w4a8_linear.scales_math import pack_signed
from automl.kernels.w4a16_linear.op import w4a16_linear
from automl.kernels.w8a8_conv.op import w8a8_conv
from automl.kernels.w8a8_linear.op import w8a8_linear
from automl.kernels.w8a16_linear.op import w8a16_linear
from automl.kernels.weight_only.formats_math import pack_nibbles
from tests.kernels.support import assert_served
from tests.kernels.support import codes
from tests.kernels.support import gapped
from tests.kernels.support import normal

_K, _N = 32, 16
_ONES = torch.ones(_N)
_X, _CODES = normal((3, _K), 1), codes((3, _K), 0, 15, 2)
_BLOCKS = pack_blocks(prune_blocks(normal((_N, _K), 3), (16, 16), 0.5), (16, 16))
_VALUES, _MASK = pack_nm(prune_nm(normal((_N, _K), 4), "2:4").half(), "2:4")
_EIGHT = codes((_N, _K), -127, 127, 5)
_MAP, _WINDOWS = codes((2, 3, 6, 5), 0, 255, 9, torch.uint8), codes((_N, 3, 3, 3), -127, 127, 10)
_NIBBLES = pack_signed(codes((_N, _K), -8, 7, 6))
_LEVELS = pack_nibbles(codes((_N, _K), 0, 15, 7))
_PLANES = pack_planes(codes((_N, _K), -8, 7, 8), 4, "signed")
_WHOLE, _ALPHA = integer_scales(torch.full((_N, 2), 0.3), 16, _K)

_PER_ROW = {"x_scale": torch.ones(3)}


def _bitplane(x, **steps):
    return bitplane_linear(x, _PLANES, x_bits=4, **steps)


def _blocks(x):
    return block_sparse_linear(x, _BLOCKS.blocks, _BLOCKS.starts, _BLOCKS.columns, outputs=_N)


#: Operator -> input, call, steps of weights or calibrated ones, steps measured on the input.
OPERATORS = {
    "quantize_rows": (_X, lambda x, **s: quantize_rows(x, **s)[0], {"scale": torch.ones(3)}, {}),
    "fake_quantize": (
        _X,
        lambda x, **s: fake_quantize(x, low=-8, high=7, **s),
        {"scale": torch.tensor(0.1)},
        {},
    ),
    "w8a8_linear": (_CODES, lambda x, **s: w8a8_linear(x, w=_EIGHT, **s), {"w_scale": _ONES}, _PER_ROW),
    "w8a8_conv": (
        _MAP,
        lambda x, **s: w8a8_conv(x, w=_WINDOWS, x_zero=7, padding=(1, 1), **s),
        {"x_scale": torch.tensor(0.5), "w_scale": _ONES},
        {},
    ),
    "w4a8_linear": (
        _CODES,
        lambda x, **s: w4a8_linear(x, codes=_NIBBLES, group=_K, **s),
        {"scale": _ONES[:, None]},
        _PER_ROW,
    ),
    "w4a16_linear": (
        _X,
        lambda x, **s: w4a16_linear(x, _LEVELS, group=_K, **s),
        {"scale": _ONES[:, None]},
        {},
    ),
    "w8a16_linear": (
        _X,
        lambda x, **s: w8a16_linear(x, _EIGHT, group=_K, **s),
        {"scale": _ONES[:, None]},
        {},
    ),
    "bitplane_linear": (_CODES.to(torch.uint8), _bitplane, {"w_scale": _ONES}, _PER_ROW),
    "nm_linear": (
        _X.half(),
        lambda x, **s: nm_linear(x, _VALUES, _MASK, **s),
        {"w_scale": _ONES},
        _PER_ROW,
    ),
    "block_sparse_linear": (_X, _blocks, {}, {}),
}
_STEPS = [(n, s) for n, (_, _, steps, _) in OPERATORS.items() for s in steps]


def _spoiled(steps: torch.Tensor, bad: float) -> torch.Tensor:
    found = steps.clone()
    found.view(-1)[-1] = bad
    return found


def test_every_operator_is_here():
    assert set(OPERATORS) == set(KERNELS)


@pytest.mark.parametrize("name", OPERATORS)
def test_a_compiled_function_of_it_gives_the_same(name):
    x, call, steps, measured = OPERATORS[name]
    torch.compiler.reset()
    compiled = torch.compile(lambda x: call(x, **steps, **measured) + 1, backend="aot_eager", fullgraph=True)
    assert compiled(x).equal(call(x, **steps, **measured) + 1)


def test_a_compiled_function_may_order_the_kernel_of_gpus():
    x, call, steps, measured = OPERATORS["w8a8_linear"]
    torch.compiler.reset()
    ordered = torch.compile(
        lambda x: call(x, **steps, **measured, preference="triton"), backend="aot_eager", fullgraph=True
    )
    assert ordered(x).equal(call(x, **steps, **measured))


@pytest.mark.parametrize("name", OPERATORS)
def test_an_exported_program_of_it_gives_the_same_in_one_node(name):
    x, call, steps, measured = OPERATORS[name]

    class Net(torch.nn.Module):
        def forward(self, x):
            return call(x, **steps, **measured)

    exported = torch.export.export(Net(), (x,))
    found = [node for node in exported.graph.nodes if f"automl.{name}" in str(node.target)]
    assert len(found) == 1
    assert exported.module()(x).equal(call(x, **steps, **measured))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, 0.0, -1.0])
@pytest.mark.parametrize(("name", "step"), _STEPS)
def test_a_step_that_is_not_positive_and_finite_is_refused(name, step, bad):
    x, call, steps, measured = OPERATORS[name]
    words = f"kernel '{name}' got {step} with the element {bad}; allowed: positive finite steps"
    with pytest.raises(KernelError, match=words):
        call(x, **{**steps, **measured, step: _spoiled(steps[step], bad)})


@pytest.mark.parametrize("name", [n for n, (*_, measured) in OPERATORS.items() if measured])
def test_a_measured_step_of_zero_is_refused_and_nan_passes_on_to_its_row_alone(name):
    x, call, steps, measured = OPERATORS[name]
    with pytest.raises(KernelError, match=r"x_scale with the element 0\.0"):
        call(x, **steps, x_scale=_spoiled(measured["x_scale"], 0.0))
    y = call(x, **steps, x_scale=_spoiled(measured["x_scale"], torch.nan))
    assert y[2].isnan().all()
    assert y[:2].isfinite().all()


@pytest.mark.parametrize(
    ("name", "which"), [(n, w) for n in OPERATORS for w in table.spec(n).implementations if w != "reference"]
)
def test_every_operand_may_have_gaps_in_its_memory(name, which):
    served = 0
    for case in table.cases(name)[::5]:
        if table.refusal(name, which, case.arguments) is None and served < 8:
            arguments = {n: gapped(v) for n, v in case.arguments.items()}
            assert_served(name, which, arguments, case.bound_of(which))
            served += 1
    assert served >= 5


def test_integer_group_scales_must_be_positive_too():
    spoiled = _WHOLE.clone()
    assert w4a8_linear(_CODES, torch.ones(3), _NIBBLES, _WHOLE, group=16, alpha=_ALPHA).isfinite().all()
    spoiled[3, 1] = 0
    with pytest.raises(KernelError, match="scale with the element 0; allowed"):
        w4a8_linear(_CODES, torch.ones(3), _NIBBLES, spoiled, group=16, alpha=_ALPHA)


def test_the_backward_operator_passes_the_library_checks():
    arguments = (_X, _X, torch.tensor(0.1), None, "tensor", 0, 64, -8, 7, "cpu")
    torch.library.opcheck(torch.ops.automl.fake_quantize_backward.default, arguments)
