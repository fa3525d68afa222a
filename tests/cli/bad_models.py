"""Models that cannot be searched, each for another reason; named on the command line by the tests."""

from __future__ import annotations

import torch
from torch import nn

EXAMPLE = torch.zeros(1, 1, 8, 8)


class _Branching(nn.Module):
    """Chooses its path by its input's values."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(1)
        return self.head(x) if x.sum() > 0 else self.head(-x)


class _Counting(nn.Module):
    """Makes a shape out of its input's values."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = int((x > 0).sum().item())
        return self.head(x.flatten(1)) + torch.ones(kept).sum()


class _Overflowing(nn.Module):
    """Has finite weights and outputs that are not."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log(self.head(x.flatten(1)) * 0 - 1)


def branching() -> tuple[nn.Module, torch.Tensor]:
    """Return a model with data-dependent control flow."""
    return _Branching(), EXAMPLE


def counting() -> tuple[nn.Module, torch.Tensor]:
    """Return a model with a data-dependent shape."""
    return _Counting(), EXAMPLE


def nan_weights() -> tuple[nn.Module, torch.Tensor]:
    """Return a model with a weight that is NaN."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with torch.no_grad():
        model[1].weight[0, 0] = float("nan")
    return model, EXAMPLE


def nan_outputs() -> tuple[nn.Module, torch.Tensor]:
    """Return a model whose outputs are NaN."""
    return _Overflowing(), EXAMPLE


def small() -> tuple[nn.Module, torch.Tensor]:
    """Return a model of 1x8x8 images and 10 classes."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), EXAMPLE


def shapeless() -> nn.Module:
    """Return a model that does not say which input it takes."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def broken() -> nn.Module:
    """Fail."""
    raise RuntimeError("the checkpoint\nis gone")


def nothing_to_quantize() -> tuple[nn.Module, torch.Tensor]:
    """Return a model without a layer that has options."""
    return nn.Sequential(nn.Flatten(), nn.ReLU()), EXAMPLE
