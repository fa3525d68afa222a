from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.core.errors import KernelError
from automl.kernels import table
from automl.kernels.cases import mismatch
from automl.kernels.w8a8_conv import cpu_impl
from automl.kernels.w8a8_conv.cases import Layer
from automl.kernels.w8a8_conv.cases import arguments_of
from automl.kernels.w8a8_conv.cases import bound
from automl.kernels.w8a8_conv.cpu_impl import pack
from automl.kernels.w8a8_conv.reference import run as reference
from tests.kernels.support import assert_cases
from tests.kernels.support import assert_served
from tests.kernels.support import codes
from tests.kernels.support import fenced
from tests.kernels.support import few_examples
from tests.kernels.support import normal
from tests.kernels.support import seeds
from tests.kernels.support import strided


@st.composite
def layers(draw) -> Layer:
    """Draw a convolution whose window fits its padded map."""
    groups = draw(st.sampled_from([1, 1, 2, 3, 8]))
    inner, outer = draw(st.integers(1, 9)), draw(st.integers(1, 5))
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    window, dilation = draw(pair), draw(pair)
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, window, strict=True)]
    padding = draw(
        st.lists(st.integers(0, 3), min_size=2, max_size=2)
        | st.lists(st.integers(0, 2), min_size=4, max_size=4)
    )
    wide = tuple(s + draw(st.integers(0, 9)) for s in spans)
    return Layer(
        draw(st.integers(0, 3)),
        groups * inner,
        groups * outer,
        wide,
        window,
        draw(pair),
        tuple(padding),
        dilation,
        groups,
    )


def test_every_case_is_within_its_bound():
    assert_cases("w8a8_conv", "cpu", least=100)


@few_examples
@given(layer=layers(), seed=seeds, zero=st.sampled_from([0, 1, 128, 255]))
def test_any_geometry_is_exact_in_codes_and_within_the_bound_in_numbers(layer, seed, zero):
    numbers = arguments_of(layer, seed=seed, zero=zero)
    numbers["bias"] = normal((layer.outputs,), seed + 1)
    for change in ({"x": fenced(numbers["x"])}, {"x": strided(numbers["x"]), "w": strided(numbers["w"])}):
        assert_served("w8a8_conv", "cpu", {**numbers, **change}, bound(numbers))
    exact = arguments_of(layer, seed=seed, zero=zero, exact=True)
    out = {"out_dtype": torch.uint8, "out_step": 16.0, "out_zero": zero}
    assert_served("w8a8_conv", "cpu", {**exact, **out})


@few_examples
@given(layer=layers(), seed=seeds, activation=st.sampled_from(["none", "relu", "relu6"]))
def test_sums_beside_a_residual_of_codes_are_exact_bit_for_bit(layer, seed, activation):
    numbers = arguments_of(layer, seed=seed, zero=3, exact=True)
    shape = reference(**numbers).shape
    residual = {
        "residual": codes(shape, 0, 255, seed, torch.uint8),
        "residual_step": 0.5,
        "residual_zero": 11,
    }
    out = {"out_dtype": torch.uint8, "out_step": 8.0, "out_zero": 60, "activation": activation}
    assert_served("w8a8_conv", "cpu", {**numbers, **residual, **out})


def test_a_packed_weight_serves_many_calls_of_any_batch():
    numbers = arguments_of(Layer(), seed=1, zero=9, exact=True)
    packed = pack(
        numbers["w"],
        numbers["w_scale"],
        None,
        x_scale=0.25,
        x_zero=9,
        padding=(1, 1),
        out_dtype=torch.uint8,
        out_codes=(16.0, 100),
        shape=(1, 8, 9, 7),
    )
    for batch in (1, 2, 5):
        x = codes((batch, 8, 9, 7), 0, 255, batch, torch.uint8)
        wanted = reference(**{**numbers, "x": x, "out_dtype": torch.uint8, "out_step": 16.0, "out_zero": 100})
        assert mismatch(packed(x), wanted.to(torch.uint8), table.cases("quantize_rows")[0].bound) is None


def test_the_sum_with_a_residual_is_written_over_it():
    numbers = arguments_of(Layer(), seed=2, exact=True)
    packed = pack(
        numbers["w"],
        numbers["w_scale"],
        None,
        x_scale=0.25,
        padding=(1, 1),
        out_dtype=torch.uint8,
        out_codes=(16.0, 0),
    )
    residual = codes((2, 12, 9, 7), 0, 255, 3, torch.uint8).contiguous(memory_format=torch.channels_last)
    y = packed.added(numbers["x"].contiguous(memory_format=torch.channels_last), residual, (0.5, 0))
    assert torch.equal(y, residual)


@pytest.mark.parametrize("bad", [torch.nan, 0.0, -1.0])
def test_a_scale_that_is_no_step_is_named(bad):
    with pytest.raises(KernelError, match=r"w_scale with the element .*; allowed: positive finite steps"):
        pack(codes((2, 4, 1, 1), -127, 127, 1), torch.tensor([1.0, bad]), None, x_scale=1.0)


_MUTATIONS = {
    "padding of zeros instead of the zero point": ("value=self.x_zero", "value=0"),
    "a lost zero point": ("(x_zero * x_scale)", "0.0"),
    "oneDNN's padding beside a zero point": ("top == bottom and x_zero == named", "top == bottom"),
    "a zero point that is named and folded": ("if x_zero != named:", "if x_zero:"),
    "sides of the padding exchanged": ("else (left, right, top, bottom)", "else (right, left, bottom, top)"),
    "a lost clamp": ('"hardtanh", [0.0, 6.0]', '"relu", []'),
    "a residual whose zero point is forgotten": ("(residual_step, residual_zero)", "(residual_step, 0)"),
}


def _mutant(tmp_path: Path, before: str, after: str):
    source = Path(cpu_impl.__file__).read_text()
    assert before in source
    file = tmp_path / "mutant.py"
    file.write_text(source.replace(before, after))
    made = importlib.util.module_from_spec(importlib.util.spec_from_file_location("mutant", file))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "mutant", made)
        made.__spec__.loader.exec_module(made)
    return made.run


@pytest.mark.parametrize("mutation", _MUTATIONS)
def test_a_planted_fault_fails_the_cases(mutation, tmp_path):
    run = _mutant(tmp_path, *_MUTATIONS[mutation])
    wrong = [
        c.name
        for c in table.cases("w8a8_conv")
        if mismatch(run(**c.arguments), reference(**c.arguments), c.bound_of("cpu"))
    ]
    assert wrong
