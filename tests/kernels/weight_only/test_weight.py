from __future__ import annotations

import pytest
import torch

from automl.core.errors import KernelError
from automl.kernels.weight_only.weight import Weight
from automl.kernels.weight_only.weight import need_weight

_GOOD = {
    "bits": 4,
    "codes": torch.zeros(3, 5, dtype=torch.uint8),
    "scale": torch.ones(3, 3),
    "zero": None,
    "table": None,
    "group": 4,
    "inner": 9,
}
_ZERO = torch.zeros(3, 3, dtype=torch.uint8)


def test_a_weight_that_fits_passes():
    need_weight("demo", torch.zeros(2, 9), Weight(**_GOOD))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"codes": torch.zeros(3, 5, dtype=torch.int8)}, "codes of type int8; allowed: uint8"),
        (
            {"codes": torch.zeros(3, 9, dtype=torch.uint8)},
            r"codes of shape \(3, 9\); allowed: \(n, ceil\(k \* 4 / 8\)",
        ),
        ({"group": 0}, "group=0; allowed: 1 or more"),
        ({"group": 5}, r"scale of shape \(3, 3\).*here \(3, 2\)"),
        ({"scale": torch.ones(3, 3, dtype=torch.int32)}, "scale of type int32"),
        ({"zero": torch.zeros(3, 3)}, "zero of type float32; allowed: uint8"),
        ({"zero": _ZERO[:, :1]}, r"zero of shape \(3, 1\)"),
        ({"table": torch.zeros(8)}, r"table of shape \(8,\)"),
        ({"table": torch.zeros(16), "zero": _ZERO}, "zero together with a table"),
        (
            {"bits": 8, "codes": torch.zeros(3, 9, dtype=torch.int8), "zero": _ZERO},
            "zero together with int8 codes",
        ),
        (
            {"bits": 8, "codes": torch.zeros(3, 9, dtype=torch.int8), "table": torch.zeros(256)},
            "table for 8-bit codes",
        ),
    ],
)
def test_what_does_not_fit_is_named(change, words):
    with pytest.raises(KernelError, match=words):
        need_weight("demo", torch.zeros(2, 9), Weight(**{**_GOOD, **change}))


def test_the_input_is_a_float():
    with pytest.raises(KernelError, match="x of type int8; allowed: float32"):
        need_weight("demo", torch.zeros(2, 9, dtype=torch.int8), Weight(**_GOOD))
