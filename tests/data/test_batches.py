from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torch.utils.data import TensorDataset

from automl.core.errors import DataError
from automl.data.batches import batches
from tests.data.toy_models import encoder_model
from tests.data.toy_models import image_model


def _everything(source):
    return source.read(np.arange(source.count))


def test_loader_with_labels_is_read_in_its_order():
    images = torch.arange(10).float().reshape(10, 1, 1, 1).expand(10, 3, 8, 8)
    loader = DataLoader(TensorDataset(images, torch.arange(10) % 4), batch_size=3)
    found = _everything(batches(loader, image_model(), 7))
    np.testing.assert_array_equal(found.inputs[0][:, 0, 0, 0], np.arange(7))
    np.testing.assert_array_equal(found.labels, np.arange(7) % 4)


def test_no_more_batches_are_drawn_than_needed():
    drawn = []

    def stream():
        for i in range(100):
            drawn.append(i)
            yield torch.zeros(4, 3, 8, 8)

    assert batches(stream(), image_model(), 10).count == 10
    assert len(drawn) == 3


@pytest.mark.parametrize(
    "batch",
    [
        (torch.ones(2, 6), torch.zeros(2, 6)),
        {"input_ids": torch.ones(2, 6), "attention_mask": torch.zeros(2, 6)},
        {"input_ids": torch.ones(2, 6), "attention_mask": torch.zeros(2, 6), "labels": torch.zeros(2)},
    ],
)
def test_several_inputs_come_as_tuples_or_mappings(batch):
    found = _everything(batches([batch], encoder_model(), 2))
    assert [a.mean() for a in found.inputs] == [1.0, 0.0]
    assert (found.labels is None) == ("labels" not in batch)


def test_bfloat16_becomes_float32():
    found = _everything(batches([torch.ones(2, 3, 8, 8, dtype=torch.bfloat16)], image_model(), 2))
    assert found.inputs[0].dtype == np.float32


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "gave no batch"),
        ([(torch.ones(2, 3), torch.ones(2, 3), torch.ones(2))], "has 3 inputs and the model takes 1"),
        ([["a", "b"][:1]], "holds a str"),
        ([(torch.zeros(2, 3, 8, 8), torch.zeros(2, 4))], "one class number a sample"),
    ],
)
def test_what_is_no_batch_is_refused(given, says):
    with pytest.raises(DataError, match=says):
        batches(given, image_model(), 4)
