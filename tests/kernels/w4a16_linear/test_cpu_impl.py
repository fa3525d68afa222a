from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.kernels.weight_only.cases import bound
from automl.kernels.weight_only.cases import make_arguments
from tests.kernels.support import assert_cases
from tests.kernels.support import assert_served
from tests.kernels.support import fenced
from tests.kernels.support import few_examples
from tests.kernels.support import matrix_shapes
from tests.kernels.support import seeds
from tests.kernels.support import strided

pytestmark = pytest.mark.usefixtures("every_way")


def test_every_case_is_within_its_bound():
    assert_cases("w4a16_linear", "cpu", least=45)


@few_examples
@given(
    shape=matrix_shapes,
    group=st.sampled_from([1, 3, 16, 32, 40, 64, 200]),
    kind=st.sampled_from(["symmetric", "asymmetric", "nf4", "fp4"]),
    seed=seeds,
)
def test_any_shape_and_group_keeps_the_bound_with_poison_around_the_operands(shape, group, kind, seed):
    arguments = make_arguments(4, (*shape, group), kind, seed)
    limit = bound(4, arguments, "cpu")
    for name in ("codes", "scale", "zero"):
        if arguments[name] is not None:
            arguments[name] = fenced(arguments[name])
    for x in (fenced(arguments["x"]), strided(arguments["x"])):
        assert_served("w4a16_linear", "cpu", {**arguments, "x": x}, limit)
