from __future__ import annotations

import torch

from automl.kernels.weight_only.formats_math import pack_nibbles
from automl.kernels.weight_only.reference import dequantize
from automl.kernels.weight_only.reference import product
from automl.kernels.weight_only.weight import Weight

_CODES = torch.tensor([[0, 15, 8, 3, 9]])
_SCALE = torch.tensor([[2.0, 0.5, 10.0]])


def test_each_group_has_its_scale_and_zero():
    packed = pack_nibbles(_CODES)
    middle = Weight(4, packed, _SCALE, None, None, 2, 5)
    assert dequantize(middle).tolist() == [[-16.0, 14.0, 0.0, -2.5, 10.0]]
    zeros = Weight(4, packed, _SCALE, torch.tensor([[0, 3, 15]], dtype=torch.uint8), None, 2, 5)
    assert dequantize(zeros).tolist() == [[0.0, 30.0, 2.5, 0.0, -60.0]]


def test_a_table_replaces_the_integers():
    table = torch.arange(16.0).square()
    weight = Weight(4, pack_nibbles(_CODES), _SCALE, None, table, 2, 5)
    assert dequantize(weight).tolist() == [[0.0, 450.0, 32.0, 4.5, 810.0]]


def test_eight_bits_have_their_middle_at_0_or_128():
    scale = torch.ones(1, 1)
    signed = Weight(8, torch.tensor([[-128, 0, 127]], dtype=torch.int8), scale, None, None, 3, 3)
    unsigned = Weight(8, torch.tensor([[0, 128, 255]], dtype=torch.uint8), scale, None, None, 3, 3)
    assert torch.equal(dequantize(signed), dequantize(unsigned))
    assert dequantize(signed).tolist() == [[-128.0, 0.0, 127.0]]


def test_the_product_is_the_linear_layer_of_the_dequantized_weight():
    weight = Weight(4, pack_nibbles(_CODES), _SCALE, None, None, 2, 5)
    x = torch.eye(5)
    y = product(x, weight, torch.tensor([1.0]), None, "relu")
    assert torch.equal(y, (dequantize(weight).t() + 1).relu())
