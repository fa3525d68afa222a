from __future__ import annotations

import torch

from automl.kernels.cases import EXACT
from automl.kernels.cases import Bound
from automl.kernels.cases import Case
from automl.kernels.cases import mismatch
from automl.kernels.cases import output_bound
from automl.kernels.cases import run_case


def test_equal_results_match_with_nan_and_infinity():
    x = torch.tensor([1.0, torch.nan, -torch.inf])
    assert mismatch(x, x.clone(), EXACT) is None
    assert mismatch(x, x.double(), EXACT) is None


def test_the_first_difference_is_located():
    a, b = torch.zeros(2, 3), torch.zeros(2, 3)
    b[1, 2] = 1e-7
    assert "result 0 at (1, 2)" in mismatch(a, b, EXACT)
    assert mismatch(a, b, Bound(absolute=1e-6)) is None
    assert mismatch(a + 1, b + 1.01, Bound(relative=0.02)) is None
    assert mismatch(torch.tensor(torch.nan), torch.tensor(1.0), Bound(1.0, 1.0)) is not None


def test_shape_type_and_number_of_results_count():
    a = torch.zeros(2)
    assert "shape" in mismatch(a, torch.zeros(3), EXACT)
    assert "type" in mismatch(a, a.half(), EXACT)
    assert "results" in mismatch((a, a), a, EXACT)


def test_a_case_uses_the_bound_of_the_implementation():
    case = Case("demo", {"x": torch.ones(2)}, bounds={"cpu": Bound(absolute=0.5)})
    off = lambda x: x + 0.25  # noqa: E731
    assert run_case(case, "cpu", off, lambda x: x) is None
    assert run_case(case, "triton", off, lambda x: x) is not None


def test_the_output_type_adds_half_a_step_and_a_whole_one_where_the_interpreter_cuts():
    assert output_bound(0.5, torch.float16, "triton") == Bound(0.5 + 2.0**-25, 2.0**-11)
    assert output_bound(0.0, torch.bfloat16, "cpu") == Bound(2.0**-134, 2.0**-8)
    assert output_bound(0.0, torch.bfloat16, "triton") == Bound(2.0**-133, 2.0**-7)


def test_subnormal_results_round_by_half_of_their_fixed_step():
    exact = torch.arange(1, 4000, dtype=torch.float64) * 2.0**-26
    bound = output_bound(0.0, torch.float16, "cpu")
    assert mismatch(exact.half(), exact, bound) is None
    assert mismatch(exact.half() + 2.0**-24, exact, bound) is not None
