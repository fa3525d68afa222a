from __future__ import annotations

import pytest
import torch

from automl.core.errors import ArtifactError
from automl.stages.simulate import export_torch
from automl.stages.simulate import simulated_module


def test_the_exported_program_computes_what_the_module_computes(digits_run, tmp_path):
    found = digits_run.best
    written = export_torch(digits_run.folder, found.id, tmp_path / "m.pt2")
    x = torch.randn(1, 1, 8, 8)
    with torch.inference_mode():
        expected = simulated_module(digits_run.folder, found.id)(x)
    got = torch.export.load(written).module()(x)
    first = [t[0] if isinstance(t, tuple) else t for t in (expected, got)]
    torch.testing.assert_close(first[0], first[1])


def test_a_model_that_was_never_confirmed_has_no_module(digits_run):
    with pytest.raises(ArtifactError):
        simulated_module(digits_run.folder, "nothing")
