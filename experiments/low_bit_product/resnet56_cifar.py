"""ResNet-56 for CIFAR-10 as ``module:function``; ``LOW_BIT_SHARED`` names the folder of its loaders."""

from __future__ import annotations

import os
import sys

import torch


def build():
    """Return the model and its example input."""
    sys.path.insert(0, os.environ["LOW_BIT_SHARED"])
    import loaders

    return loaders.cifar_resnet(56), (torch.zeros(1, 3, 32, 32),)
