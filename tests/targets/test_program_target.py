from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from automl.core.errors import ConfigError
from automl.targets.program_target import PROGRAM_RULES
from automl.targets.program_target import ProgramTarget
from automl.targets.torch_cpu import TorchTarget

if TYPE_CHECKING:
    from tests.targets.conftest import Small


def test_only_inputs_of_layers_are_quantized(small: Small) -> None:
    plan = small.plan(dict.fromkeys(("stem", "left", "hidden", "head"), "w8a8"), PROGRAM_RULES)
    sites = {small.traced.graph.site(s).node for s in ("stem", "left", "hidden", "head")}
    assert {consumer for _, consumer in plan.edges} == sites


def test_the_cpu_adds_codes_and_takes_the_maximum_of_codes_and_others_do_not() -> None:
    cpu = ProgramTarget("torch", device="cpu", preference="auto")
    other = ProgramTarget("triton", device="cpu", preference="triton")
    assert cpu.rules.residuals
    assert cpu.rules.passthrough == ("max_pool",)
    assert not other.rules.residuals
    assert other.rules.passthrough == other.rules.joins == cpu.rules.joins == ()


def test_types_are_recorded_once_for_a_model(encoder: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    target = TorchTarget(threads=1)
    target.deployable(encoder.traced, encoder.base, encoder.plan({}, target.rules))
    monkeypatch.setattr("automl.targets.torch_program.value_types", None)
    made = target.deployable(encoder.traced, encoder.base, encoder.plan({}, target.rules))
    assert made.suffix == target.suffix


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="batch is 0"):
        ProgramTarget("torch", device="cpu", preference="auto", batch=0)


def test_the_idle_model_is_a_program() -> None:
    suffix, content = TorchTarget(threads=1).idle_file()
    assert suffix == ".safetensors"
    assert b"automl_program" in content
