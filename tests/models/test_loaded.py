from __future__ import annotations

import copy

import torch
from torch import nn

from automl.models.loaded import fingerprint_module


def _module():
    generator = torch.Generator().manual_seed(1)
    module = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU())
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return module.eval()


def test_equal_modules_have_equal_fingerprints():
    assert fingerprint_module(_module()) == fingerprint_module(copy.deepcopy(_module()))


def test_one_changed_weight_changes_the_fingerprint():
    other = _module()
    with torch.no_grad():
        other[0].weight[1, 2] += 1e-6
    assert fingerprint_module(other) != fingerprint_module(_module())


def test_a_buffer_takes_part():
    other = _module()
    other[1].running_mean += 1
    assert fingerprint_module(other) != fingerprint_module(_module())


def test_structure_without_weights_takes_part():
    other = _module()
    other[2] = nn.ReLU6()
    assert fingerprint_module(other) != fingerprint_module(_module())


def test_fingerprint_is_16_hexadecimal_digits():
    fingerprint = fingerprint_module(_module())
    assert len(fingerprint) == 16
    int(fingerprint, 16)
