from __future__ import annotations

import pytest
import torch

from automl.core.errors import TargetError
from automl.targets.triton_device import interpreted
from automl.targets.triton_device import triton_device


def test_the_interpreter_runs_on_the_cpu():
    assert interpreted()
    assert triton_device() == "cpu"


def test_without_a_gpu_one_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setattr("automl.targets.triton_device.interpreted", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TargetError, match=r"needs a CUDA or ROCm device.*--target torch.*TRITON_INTERPRET=1"):
        triton_device()


def test_a_gpu_is_used_where_there_is_one(monkeypatch):
    monkeypatch.setattr("automl.targets.triton_device.interpreted", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert triton_device() == "cuda"
