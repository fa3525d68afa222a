"""A small network trained on the handwritten digits that scikit-learn ships: real data in seconds."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

N_TRAIN = 1200


class Block(nn.Module):
    """Two convolutions with batch norm around a residual add."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + x)


class DigitsNet(nn.Module):
    """Stem, two residual blocks, pooling, linear head; input 1x8x8, 10 classes."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.blocks = nn.Sequential(Block(width), Block(width))
        self.head = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(torch.relu(self.norm(self.stem(x)))).mean((2, 3)))


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, 1, 8, 8) float32 in [-1, 1] and labels (n,)."""
    data = load_digits()
    images = (data.images[:, None] / 8.0 - 1.0).astype(np.float32)
    return images, data.target.astype(np.int64)


@cache
def trained_state() -> dict[str, torch.Tensor]:
    """Return the trained weights; the same on every call and close to 97 % on the samples it has not seen."""
    images, labels = digits()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in another order would give every process another network
    x, y = torch.from_numpy(images[:N_TRAIN]), torch.from_numpy(labels[:N_TRAIN])
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        model = DigitsNet()
        optimizer = torch.optim.Adam(model.parameters(), 5e-3)
        model.train()
        for epoch in range(12):
            order = torch.randperm(N_TRAIN, generator=torch.Generator().manual_seed(epoch))
            for start in range(0, N_TRAIN, 100):
                rows = order[start : start + 100]
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x[rows]), y[rows]).backward()
                optimizer.step()
    torch.set_num_threads(threads)
    return model.eval().state_dict()


def build() -> tuple[nn.Module, torch.Tensor]:
    """Return the trained network and an example input; the command line calls it ``tests.digits:build``."""
    model = DigitsNet()
    model.load_state_dict(trained_state())
    return model.eval(), torch.zeros(1, 1, 8, 8)


def build_wide() -> tuple[nn.Module, torch.Tensor]:
    """Return another, untrained network for the same input."""
    return DigitsNet(24).eval(), torch.zeros(1, 1, 8, 8)


def build_matrices() -> tuple[nn.Module, torch.Tensor]:
    """Return an untrained network of matrix layers for the same input."""
    widths = (64, 256, 256, 10)
    layers: list[nn.Module] = [nn.Flatten()]
    generator = torch.Generator().manual_seed(0)
    for k, n in itertools.pairwise(widths):
        linear = nn.Linear(k, n)
        with torch.no_grad():
            linear.weight.copy_(torch.randn(n, k, generator=generator) / k**0.5)
            linear.bias.copy_(torch.randn(n, generator=generator) / 10)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1]).eval(), torch.zeros(1, 1, 8, 8)


def write_data(path: object) -> None:
    """Write the held-out digits as an npz that ``--data`` takes."""
    images, labels = digits()
    np.savez(path, images=images[N_TRAIN:], labels=labels[N_TRAIN:])
