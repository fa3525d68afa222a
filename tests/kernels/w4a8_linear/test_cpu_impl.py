from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.kernels.cases import Bound
from automl.kernels.w4a8_linear.cases import FORMS
from automl.kernels.w4a8_linear.cases import bound
from automl.kernels.w4a8_linear.cases import make_arguments
from automl.kernels.w4a8_linear.cpu_impl import pack
from automl.kernels.w4a8_linear.cpu_impl import run
from automl.kernels.w4a8_linear.reference import LONGEST
from tests.kernels.support import assert_cases
from tests.kernels.support import assert_served
from tests.kernels.support import fenced
from tests.kernels.support import few_examples
from tests.kernels.support import matrix_shapes
from tests.kernels.support import seeds
from tests.kernels.support import strided


def test_every_case_is_within_its_bound():
    assert_cases("w4a8_linear", "cpu", least=60)


@few_examples
@given(
    shape=matrix_shapes,
    group=st.sampled_from([2, 16, 32, 40, 64, 200]),
    form=st.sampled_from(FORMS),
    seed=seeds,
)
def test_any_shape_and_group_keeps_the_bound_with_poison_around_the_operands(shape, group, form, seed):
    arguments = make_arguments((*shape, group), form, seed)
    limit = bound(arguments, "cpu")
    for name in ("codes", "scale", "x_scale"):
        arguments[name] = fenced(arguments[name])
    for x in (fenced(arguments["x"]), strided(arguments["x"])):
        assert_served("w4a8_linear", "cpu", {**arguments, "x": x}, limit)


@few_examples
@given(shape=matrix_shapes, group=st.sampled_from([2, 16, 48, 64]), seed=seeds)
def test_integer_sums_are_exact_bit_for_bit(shape, group, seed):
    # Unit scales leave the sum itself, which float32 holds exactly below 2^24.
    arguments = make_arguments((*shape, group), "integer", seed)
    scale = arguments["scale"].remainder(90).add(1)
    arguments.update(x_scale=arguments["x_scale"].fill_(1.0), scale=scale, alpha=1)
    assert_served("w4a8_linear", "cpu", arguments)


def test_a_packed_weight_serves_many_calls():
    arguments = make_arguments((5, 41, 6, 41), "channel", 3)
    packed = pack(arguments["codes"], arguments["scale"], None, inner=41, rows=5)
    first = packed.rows(arguments["x"], arguments["x_scale"])
    assert torch.equal(packed.rows(arguments["x"], arguments["x_scale"]), first)
    assert torch.equal(run(**arguments), first)


def test_the_longest_sum_fits_int32():
    arguments = make_arguments((1, LONGEST, 2, LONGEST), "channel", 7)
    arguments["x"].fill_(-128)
    arguments["codes"].fill_(0x88)
    arguments.update(x_scale=torch.tensor(1.0), scale=torch.ones(2, 1))
    assert_served("w4a8_linear", "cpu", arguments, Bound(relative=2.0**-24))
