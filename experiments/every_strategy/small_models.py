"""Trained networks for 32 x 32 images as ``module:function``; ``SMALL_MODELS_SHARED`` names their folder."""

from __future__ import annotations

import os
import sys

import torch
from torch import nn

EXAMPLE = (torch.zeros(1, 3, 32, 32),)


def _loaders():
    sys.path.insert(0, os.environ["SMALL_MODELS_SHARED"])
    import loaders

    return loaders


class _FromNormalized(nn.Module):
    """Takes normalized images and gives the network the bytes it was trained on."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        deviation, mean = torch.tensor([0.229, 0.224, 0.225]), torch.tensor([0.485, 0.456, 0.406])
        self.register_buffer("scale", 255.0 * deviation.view(1, 3, 1, 1))
        self.register_buffer("shift", 255.0 * mean.view(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(images * self.scale + self.shift)


def resnet20():
    """Return the CIFAR-10 ResNet-20 and its example input."""
    return _loaders().cifar_resnet(20), EXAMPLE


def resnet8():
    """Return the MLPerf Tiny ResNet-8, small enough to be searched exhaustively, and its example input."""
    return _FromNormalized(_loaders().tiny_model("resnet8")).eval(), EXAMPLE
