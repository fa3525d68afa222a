from __future__ import annotations

import pytest
import torch
from torch import nn

from automl.core.errors import ModelError
from automl.models.checks import check_outputs
from automl.models.checks import check_weights
from automl.models.checks import parse_input_shape
from automl.models.checks import parse_input_shapes
from automl.models.checks import shape_text


class Returns(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        return self.value


def test_input_shapes_are_read_and_written_alike():
    assert parse_input_shape("1x3x32x32") == (1, 3, 32, 32)
    assert parse_input_shape(" 1X128 ") == (1, 128)
    assert parse_input_shapes("1x8,1x3x4") == ((1, 8), (1, 3, 4))
    assert shape_text(parse_input_shapes("1x8,1x3x4")) == "1x8,1x3x4"


@pytest.mark.parametrize("text", ["", "3", "8x3x32x32", "1x0x3", "1x-2", "1x3x", "1,3,32,32", "axb", "1x3.5"])
def test_bad_input_shape_is_refused_with_an_example(text):
    with pytest.raises(ModelError, match=r"input shape.*1x"):
        parse_input_shapes(text)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_non_finite_weight_is_named(bad):
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    check_weights(module, "m")
    with torch.no_grad():
        module[1].weight[0, 1] = bad
    with pytest.raises(ModelError, match=r"'m'.*'1\.weight' holds 1 NaN or infinite"):
        check_weights(module, "m")


def test_non_finite_buffer_is_named():
    module = nn.BatchNorm1d(2)
    module.running_var[1] = float("nan")
    with pytest.raises(ModelError, match="running_var"):
        check_weights(module, "m")


def test_integer_buffers_are_left_alone():
    module = nn.BatchNorm1d(2)
    module.num_batches_tracked += 3
    check_weights(module, "m")


def test_rejected_input_says_the_shape_tried_and_offers_input():
    with pytest.raises(ModelError, match=r"1x5 .*--input") as caught:
        check_outputs(nn.Linear(4, 2), (torch.zeros(1, 5),), "m")
    assert "\n" not in str(caught.value)


def test_nan_output_is_refused():
    with pytest.raises(ModelError, match="NaN or infinite outputs"):
        check_outputs(Returns(torch.tensor([[float("nan"), 1.0]])), (torch.zeros(1, 2),), "m")


def test_output_that_is_no_tensor_is_refused():
    with pytest.raises(ModelError, match="returns a dict"):
        check_outputs(Returns({"logits": torch.zeros(1)}), (torch.zeros(1, 2),), "m")


def test_one_tensor_becomes_a_tuple_of_one():
    assert len(check_outputs(nn.Identity(), (torch.zeros(1, 2),), "m")) == 1
    assert len(check_outputs(Returns((torch.zeros(1), torch.zeros(1))), (torch.zeros(1),), "m")) == 2
