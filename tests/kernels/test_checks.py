from __future__ import annotations

import pytest
import torch

from automl.core.errors import KernelError
from automl.kernels import checks


def test_a_wrong_type_is_named_with_the_allowed_ones():
    with pytest.raises(KernelError, match=r"got x of type int64; allowed: int8, uint8; convert it with .to"):
        checks.need_dtype("demo", "x", torch.zeros(2, dtype=torch.int64), (torch.int8, torch.uint8))


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 3, 1)])
def test_a_wrong_shape_is_named_in_letters_and_numbers(shape):
    checks.need_shape("demo", "x", torch.zeros(7, 3), (None, 3), "(m, k)")
    with pytest.raises(KernelError, match=r"allowed: \(m, k\), here \(any, 3\)"):
        checks.need_shape("demo", "x", torch.zeros(shape), (None, 3), "(m, k)")


def test_a_wrong_option_is_named():
    checks.need_one_of("demo", "fmt", "int8", ("int8",))
    with pytest.raises(KernelError, match="got fmt=int7; allowed: int8"):
        checks.need_one_of("demo", "fmt", "int7", ("int8",))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf, 0.0, -0.5])
def test_a_step_that_is_not_positive_and_finite_is_named(bad):
    checks.need_steps("demo", "scale", torch.ones(2, 3))
    with pytest.raises(KernelError, match=f"scale with the element {bad}; allowed: positive finite steps"):
        checks.need_steps("demo", "scale", torch.tensor([[1.0, 2.0], [bad, 1.0]]))


def test_a_measured_step_may_say_that_its_input_was_bad():
    checks.need_steps("demo", "x_scale", torch.tensor([1.0, torch.nan]), measured=True)
    with pytest.raises(KernelError, match=r"element 0\.0"):
        checks.need_steps("demo", "x_scale", torch.tensor([torch.nan, 0.0]), measured=True)


def test_steps_on_another_device_are_not_looked_at():
    checks.need_steps("demo", "scale", torch.zeros(2, device="meta"))


def test_operands_on_two_devices_are_refused():
    x = torch.zeros(2)
    checks.need_device("demo", x, {"bias": None, "scale": x})
    with pytest.raises(KernelError, match="scale on meta and its input on cpu"):
        checks.need_device("demo", x, {"scale": torch.zeros(2, device="meta")})


def test_an_epilogue_that_fits_passes():
    checks.need_epilogue("demo", (2, 3), torch.zeros(3), torch.zeros(2, 3).half(), "gelu", torch.float16)
