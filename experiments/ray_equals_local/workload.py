"""A real CPU-bound job: forward passes of a small convolutional network with weights from a seed."""

from __future__ import annotations

import torch
from torch import nn


def build_network():
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )
    for parameter in network.parameters():
        parameter.data = torch.empty_like(parameter).normal_(0.0, 0.1, generator=generator)
    return network.eval()


def classify(network, payload):
    generator = torch.Generator().manual_seed(payload["seed"])
    counts = [0] * 10
    with torch.inference_mode():
        for _ in range(payload["batches"]):
            images = torch.randn(16, 3, 64, 64, generator=generator)
            for label in network(images).argmax(dim=1).tolist():
                counts[label] += 1
    return counts
