from __future__ import annotations

import numpy as np
import pytest
import torch

from automl.core.errors import DataError
from automl.core.samples import Samples
from automl.stages.given import keep_given


def test_names_and_paths_pass_through(tmp_path):
    assert keep_given("m", None, (), tmp_path / "r") == ("m", None, tmp_path / "r")
    assert keep_given("m", "d.npz", (), None) == ("m", "d.npz", None)
    assert not list(tmp_path.iterdir())


def test_a_module_and_samples_become_files_that_load_again(tmp_path):
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(72, 3)).eval()
    samples = Samples((np.zeros((4, 1, 8, 8), np.float32),), np.arange(4))
    model, data, folder = keep_given(module, samples, ((1, 1, 8, 8),), tmp_path / "r")
    assert folder == tmp_path / "r"
    x = torch.randn(2, 1, 8, 8)
    out = torch.export.load(model).module()(x)
    torch.testing.assert_close(out[0] if isinstance(out, tuple) else out, module(x))
    with np.load(data) as stored:
        np.testing.assert_array_equal(stored["labels"], np.arange(4))


def test_batches_of_a_loader_are_joined(tmp_path):
    batches = [
        (torch.ones(3, 1, 2, 2), torch.tensor([0, 1, 2])),
        (torch.zeros(2, 1, 2, 2), torch.tensor([3, 4])),
    ]
    _, data, _ = keep_given("m", batches, (), tmp_path / "r")
    with np.load(data) as stored:
        assert stored["input_0"].shape == (5, 1, 2, 2)
        assert stored["labels"].tolist() == [0, 1, 2, 3, 4]


def test_an_empty_loader_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="no batch"):
        keep_given("m", [], (), tmp_path / "r")
