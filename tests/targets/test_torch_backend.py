from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from automl.core.errors import EvaluationError
from automl.kernels.native.library import native
from automl.kernels.native.library import using
from automl.targets import torch_backend
from automl.targets.torch_backend import TorchBackend
from automl.targets.torch_backend import cpu_float_types
from automl.targets.torch_program import value_types
from automl.targets.torch_program import write_program

if TYPE_CHECKING:
    from pathlib import Path

    from tests.targets.conftest import Small


def test_torch_computes_in_float32_when_it_is_left_alone() -> None:
    info = TorchBackend(1).info()
    assert info["default_float"] == "f32"
    assert "f32" in info["float_types"]


def test_the_runtime_says_whether_native_kernels_serve_so_that_no_price_of_the_others_is_used() -> None:
    version = torch.__version__.partition("+")[0]
    with using("off"):
        assert TorchBackend(1).info()["runtime"] == f"torch {version} alone"
    if native() is not None:
        assert TorchBackend(1).info()["runtime"] == f"torch {version} with kernels in C++"


def test_bfloat16_is_offered_where_the_processor_multiplies_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for flags, types in ((["avx2"], ["f32"]), (["avx512_bf16"], ["bf16", "f32"])):
        monkeypatch.setattr(torch_backend, "cpu_facts", lambda found=flags: {"flags": found})
        assert cpu_float_types() == types


def test_a_program_is_loaded_in_either_type(small: Small, tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    file.write_bytes(write_program(small.traced, small.plan({}), value_types(small.traced)))
    backend = TorchBackend(1)
    for float_type in ("f32", "bf16"):
        model = backend.load(str(file), float_type=float_type, shapes=[[8, 3, 16, 16]], profile=False)
        (y,) = model.run([small.images])
        assert np.abs(y - small.logits).max() < 0.05 * np.abs(small.logits).max()
    with pytest.raises(EvaluationError, match="f16"):
        backend.load(str(file), float_type="f16", shapes=[[8, 3, 16, 16]], profile=False)
