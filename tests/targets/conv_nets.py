"""Small convolutional networks with what the CPU's convolutions of codes take in: zeros, sums, pools."""

from __future__ import annotations

import torch
from torch import nn

from tests.targets.conftest import Small

MOBILE = ("stem", "expand", "deep", "project", "first", "second", "short", "grouped", "head")


class MobileBlocks(nn.Module):
    """A stem with zeros on two sides, a pool, an inverted residual, a residual block, groups, a head.

    Args:
        tail: whether the residual block's result is read in numbers, by a mean, as well as in codes.
    """

    def __init__(self, tail: bool = False) -> None:
        super().__init__()
        self.tail = tail
        self.stem = nn.Conv2d(3, 16, 3, stride=2)
        self.expand = nn.Conv2d(16, 32, 1)
        self.deep = nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.project = nn.Conv2d(32, 16, 1)
        self.first = nn.Conv2d(16, 24, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(24)
        self.second = nn.Conv2d(24, 24, 3, padding=1)
        self.short = nn.Conv2d(16, 24, 1, stride=2)
        self.grouped = nn.Conv2d(24, 24, 3, padding=2, dilation=2, groups=4)
        self.head = nn.Linear(24, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (n, 10) of images (n, 3, 48, 48)."""
        x = nn.functional.relu6(self.stem(nn.functional.pad(x, (0, 1, 0, 1))))
        x = nn.functional.max_pool2d(x, 3, 2, 1)
        wide = nn.functional.relu6(self.deep(nn.functional.relu6(self.expand(x))))
        x = self.project(wide) + x
        main = self.second(torch.relu(self.norm(self.first(x))))
        x = torch.relu(main + self.short(x))
        y = nn.functional.hardswish(self.grouped(x)).mean((2, 3))
        return self.head(y * x.mean((2, 3)) if self.tail else y)


class Reader(nn.Module):
    """A summand that is read again later, and a layer that adds to its own input."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.twice, self.again = (nn.Conv2d(c, 16, 3, padding=1) for c in (3, 16, 16))
        self.own = nn.Conv2d(16, 16, 1)
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (n, 10) of images (n, 3, 48, 48)."""
        x = torch.relu(self.stem(x))
        y = torch.relu(self.twice(x) + x)
        z = self.again(x) + y
        return self.head((self.own(z) + z).mean((2, 3)))


def images_net(net: nn.Module, seed: int = 3) -> Small:
    """Return the network traced and exported, with random weights and eight images of 48 pixels."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.15)
    return Small.of(net.eval(), torch.randn(8, 3, 48, 48, generator=generator))
