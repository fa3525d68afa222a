from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from automl.core.errors import EvaluationError
from automl.targets.torch_program import idle_program
from automl.targets.triton_backend import TritonBackend

if TYPE_CHECKING:
    from pathlib import Path


def test_the_interpreter_says_that_it_is_one_and_computes_in_float32(tmp_path: Path) -> None:
    backend = TritonBackend(1)
    info = backend.info()
    assert info["runtime"].endswith("interpreter")
    assert info["float_types"] == ["f32"]
    file = tmp_path / "idle.safetensors"
    file.write_bytes(idle_program())
    with pytest.raises(EvaluationError, match="bf16"):
        backend.load(str(file), float_type="bf16", shapes=[[1, 4, 8, 8]], profile=False)
