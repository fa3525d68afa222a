"""What the tests of torch programs share: a plan written to a file, and its function."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import torch

from automl.targets.program_target import PROGRAM_RULES
from automl.targets.torch_lowering import Lowered
from automl.targets.torch_lowering import lower
from automl.targets.torch_program import Program
from automl.targets.torch_program import read_program
from automl.targets.torch_program import value_types
from automl.targets.torch_program import write_program
from automl.targets.torch_sites import Serving
from automl.transforms.materialize import materialize

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automl.transforms.plan import QuantizationRules
    from tests.targets.conftest import Small

ENCODER = ("query", "key", "value", "out", "up", "down")


def program_of(
    net: Small, precisions: Mapping[str, str], rules: QuantizationRules = PROGRAM_RULES
) -> Program:
    """Return the plan's program, written to a file and read again."""
    content = write_program(net.traced, net.plan(precisions, rules), value_types(net.traced))
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "program.safetensors"
        file.write_bytes(content)
        return read_program(file)


def lowered(
    net: Small,
    precisions: Mapping[str, str],
    serving: Serving | None = None,
    rules: QuantizationRules = PROGRAM_RULES,
) -> Lowered:
    """Return the plan's program, lowered."""
    return lower(program_of(net, precisions, rules), serving or Serving())


def outputs(
    net: Small,
    precisions: Mapping[str, str],
    serving: Serving | None = None,
    rules: QuantizationRules = PROGRAM_RULES,
) -> torch.Tensor:
    """Return what the lowered program gives for the network's samples."""
    with torch.no_grad():
        result: Any = lowered(net, precisions, serving, rules).run(torch.from_numpy(net.images))
    return result


def simulated(
    net: Small,
    precisions: Mapping[str, str],
    float_type: str = "f32",
    rules: QuantizationRules = PROGRAM_RULES,
) -> torch.Tensor:
    """Return what the simulated model gives for the network's samples."""
    with torch.no_grad():
        plan = net.plan(precisions, rules, float_type)
        result: Any = materialize(net.traced, plan)(torch.from_numpy(net.images))
    return result


def gap(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return the distance relative to the size of ``b``."""
    return float((a - b).norm() / b.norm())
