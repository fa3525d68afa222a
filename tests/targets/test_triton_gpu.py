"""The triton target in the interpreter: whole networks are right, and no time is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from automl.core.errors import TargetError
from automl.targets import triton_gpu
from automl.targets.table import make_target
from automl.targets.triton_gpu import TritonTarget
from tests.targets.programs import ENCODER
from tests.targets.programs import gap
from tests.targets.programs import simulated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.targets.conftest import Small

#: Every kernel once.
ALL_KERNELS = dict(zip(ENCODER, ("w8a8", "w8a8", "w8a8", "w8", "w4a8", "w4g64"), strict=True))

CONVOLUTIONS = {"stem": "w8a8", "left": "w8a8", "wide": "w4a8", "hidden": "w8a8", "head": "w8"}


@pytest.fixture(scope="module")
def target() -> Iterator[TritonTarget]:
    made = TritonTarget(threads=1, batch=2)
    yield made
    made.close()


def _outputs(target: TritonTarget, net: Small, precisions: dict[str, str], place: Path) -> torch.Tensor:
    made = target.deployable(net.traced, net.base, net.plan(precisions, target.rules))
    assert {s.implementation for s in made.served if s.option != "fp"} <= {"triton"}
    file = place / "m.safetensors"
    file.write_bytes(made.content)
    (y,) = target.predict(file, [net.images], float_type="f32", batch=8)
    return torch.from_numpy(y)


def test_a_text_encoder_gives_the_references_outputs(
    target: TritonTarget, encoder: Small, tmp_path: Path
) -> None:
    got = _outputs(target, encoder, ALL_KERNELS, tmp_path)
    assert gap(got, simulated(encoder, ALL_KERNELS)) < 0.01
    assert gap(got, torch.from_numpy(encoder.logits)) > 1e-3


def test_a_network_of_convolutions_gives_the_references_outputs(
    target: TritonTarget, small: Small, tmp_path: Path
) -> None:
    got = _outputs(target, small, CONVOLUTIONS, tmp_path)
    assert gap(got, simulated(small, CONVOLUTIONS)) < 0.01
    assert gap(got, torch.from_numpy(small.logits)) > 1e-3


def test_the_interpreter_reports_no_time(target: TritonTarget, small: Small, tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    file.write_bytes(target.deployable(small.traced, small.base, small.plan({}, target.rules)).content)
    with pytest.raises(TargetError, match=r"interpreter \(TRITON_INTERPRET=1\) and reports no time"):
        target.time([(file, "f32")], [small.images], repeats=3)
    with pytest.raises(TargetError, match="reports no time"):
        target.profile(file, [small.images], float_type="f32", repeats=3)


def test_memory_of_the_host_is_not_told(target: TritonTarget, small: Small, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="measures no memory"):
        target.memory(tmp_path / "m", [small.images], float_type="f32", processes=1)


def test_a_machine_without_a_gpu_is_told_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("automl.targets.triton_device.interpreted", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TargetError, match="needs a CUDA or ROCm device"):
        make_target("triton")


def test_convolutions_and_four_bits_are_legal(target: TritonTarget, small: Small) -> None:
    legality = target.legality(small.traced.graph)
    assert {"w8a8", "w4a8"} <= set(legality.options["stem"])
    assert legality.float_types == ("f32",)


def test_times_of_a_device_come_with_how_they_were_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = TritonTarget(threads=1)
    answers = ([[1.0, 2.0, 3.0], [4.0, 4.0, 4.0]], ["a graph", "eager launches (it waits)"])
    monkeypatch.setattr(triton_gpu, "interpreted", lambda: False)
    monkeypatch.setattr(made, "_timed", lambda models, inputs, repeats: answers)
    first, second = made.time([(tmp_path, "f32")] * 2, [], repeats=3)
    assert (first.median_ms, first.how) == (2.0, "a graph")
    assert (second.median_ms, second.how) == (4.0, "eager launches (it waits)")
    assert made.run_times([(tmp_path, "f32")] * 2, [], repeats=3) == answers[0]
