"""Small networks that hold every structure the tracer must understand."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class ConvNet(nn.Module):
    """Padded strided stem, depthwise block with residual add, pooling, linear head; batch norm everywhere."""

    def __init__(self, width: int = 8, classes: int = 5) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.blocks = nn.Sequential(Residual(width), Residual(width))
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu6(self.bn(self.stem(functional.pad(x, (0, 1, 0, 1)))), inplace=True)
        x = self.norm(self.blocks(x).relu())
        return self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.dw = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.pw = nn.Conv2d(width, width, 1, bias=True)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn1(self.dw(x)).relu_()
        y = self.bn2(self.pw(y))
        y += x
        return y


class TokenNet(nn.Module):
    """Two transformer layers over tokens with a language head tied to the embedding."""

    def __init__(self, vocabulary: int = 17, width: int = 16) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        self.place = nn.Embedding(12, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True) for _ in range(2)
        )
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.table.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.table(tokens) + self.place(torch.arange(tokens.shape[1]))
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def random_statistics(module: nn.Module, seed: int = 0) -> nn.Module:
    """Give parameters and batch-norm statistics values that make every fold visible."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
            part.running_mean.copy_(torch.randn(part.num_features, generator=generator))
            part.running_var.copy_(torch.rand(part.num_features, generator=generator) + 0.5)
            part.weight.data.copy_(torch.rand(part.num_features, generator=generator) + 0.5)
            part.bias.data.copy_(torch.randn(part.num_features, generator=generator))
        elif isinstance(part, nn.Conv2d | nn.Linear):
            part.weight.data.copy_(torch.randn(part.weight.shape, generator=generator) * 0.3)
    return module.eval()


def conv_net() -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    torch.manual_seed(0)
    return random_statistics(ConvNet()), (torch.randn(1, 3, 15, 15),)


def token_net() -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    torch.manual_seed(0)
    return TokenNet().eval(), (torch.randint(0, 17, (1, 9)),)
