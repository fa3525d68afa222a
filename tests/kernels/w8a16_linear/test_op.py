from __future__ import annotations

import torch

from automl.kernels.w8a16_linear.op import SPEC
from automl.kernels.weight_only.cases import make_arguments

_ORDER = ("x", "codes", "scale", "zero", "table", "group", "bias", "residual", "activation")


def test_the_operator_passes_the_library_checks():
    given = make_arguments(8, (6, 64, 32, 32), "asymmetric", seed=4)
    operator = getattr(torch.ops.automl, SPEC.name).default
    torch.library.opcheck(operator, (*(given[n] for n in _ORDER), "cpu"))
