from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import pytest
import torch

from automl.core.errors import EvaluationError
from automl.targets import triton_backend
from automl.targets.torch_program import idle_program
from automl.targets.triton_backend import TritonBackend
from tests.kernels.test_device_timing import Recorder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "idle.safetensors"
    path.write_bytes(idle_program())
    return path


def test_the_interpreter_says_that_it_is_one_and_computes_in_float32(file: Path) -> None:
    backend = TritonBackend(1)
    info = backend.info()
    assert info["runtime"].endswith("interpreter")
    assert info["float_types"] == ["f32"]
    assert backend.timer is None
    with pytest.raises(EvaluationError, match="bf16"):
        backend.load(str(file), float_type="bf16", shapes=[[1, 4, 8, 8]], profile=False)


class Paper(Recorder):
    """A device on paper that tells runs apart by the order in which they are warmed up."""

    def warm_up(self, run: Any, times: int) -> None:
        run.__dict__["title"] = f"run{sum(e.startswith('warm') for e in self.log)}"
        super().warm_up(run, times)


def test_on_a_device_models_are_timed_by_events_on_sets_that_take_turns(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The models stay on the CPU: what is tested is what the backend asks of the device."""
    backend = TritonBackend(1)
    models = [backend.load(str(file), float_type="f32", shapes=[[1, 4, 8, 8]], profile=False) for _ in "ab"]
    backend._on_gpu = True
    device = Paper(cache_bytes=2 * 1024)
    monkeypatch.setattr(triton_backend, "CudaDevice", lambda: device)
    assert backend.timer is not None
    found = backend.timer(models, [np.ones((1, 4, 8, 8), np.float32)], repeats=5, warmup=2)
    assert found.samples == [[0.25] * 5] * 2
    assert found.order == [0, 1, 1, 0, 0, 1, 1, 0, 0, 1]
    # Four sets of a kilobyte are twice the cache of two.
    assert all("captured graph" in h and "4 sets of inputs" in h for h in found.how)
    replayed = [e.removeprefix("replay ") for e in device.log if e.startswith("replay")]
    assert replayed[-10:] == ["run0", "run4", "run5", "run1", "run2", "run6", "run7", "run3", "run0", "run4"]


def test_a_device_is_named_with_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_backend, "triton_device", lambda: "cuda")
    monkeypatch.setattr(triton_backend, "interpreted", lambda: False)
    monkeypatch.setattr(triton_backend, "device_facts", lambda: {"device": "paper", "driver": "1"})
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "paper")
    info = TritonBackend(1).info()
    assert (info["device"], info["float_types"]) == ("paper", ["bf16", "f32"])
    assert info["machine"] == {"gpu": {"device": "paper", "driver": "1"}}
