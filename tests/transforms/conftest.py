from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from automl.core.samples import Samples
from automl.searchspaces.trace import trace_model


class Small(nn.Module):
    """Stem, depthwise, residual block with padding and stride, pooled head."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.deep = nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.point = nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        y = nn.functional.hardtanh(self.deep(x), 0.0, 6.0)
        x = torch.relu(self.point(y) + x)
        return self.head(x.mean((2, 3)))


@pytest.fixture(scope="session")
def small():
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    model = Small().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) / max(1, p[0].numel()) ** 0.5)
    return trace_model(model, (torch.zeros(1, 3, 12, 12),))


@pytest.fixture(scope="session")
def images():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(48, 3, 12, 12)) + rng.normal(size=(48, 3, 1, 1))
    return Samples((x.astype(np.float32),))
