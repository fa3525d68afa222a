"""A small residual network, its export, and min-max plans for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import fx
from torch import nn

from automl.searchspaces.trace import trace_model
from automl.targets.onnx_export import export_onnx
from automl.targets.openvino_target import OPENVINO_RULES
from automl.transforms.plan import ActivationQuantizer
from automl.transforms.plan import QuantizationPlan
from automl.transforms.plan import QuantizedWeight
from automl.transforms.plan_builder import quantized_reads
from automl.transforms.precision import parse_precision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from automl.searchspaces.graph import TracedModel
    from automl.targets.onnx_export import BaseOnnx
    from automl.transforms.plan import QuantizationRules


class SmallNet(nn.Module):
    """Stem, one residual block, padding, pooling, two matrix layers (one without bias)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.left = nn.Conv2d(16, 16, 3, padding=1)
        self.wide = nn.Conv2d(16, 64, 3, stride=2)
        self.hidden = nn.Linear(64, 32, bias=False)
        self.head = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (n, 10) of images (n, 3, 16, 16)."""
        x = torch.relu(self.norm(self.stem(x)))
        x = torch.relu(self.left(x) + x)
        x = torch.relu(self.wide(nn.functional.pad(x, (0, 1, 0, 1))))
        x = torch.relu(self.hidden(x.mean((2, 3))))
        return self.head(x)


class HeadsNet(nn.Module):
    """Attention of two heads whose result is copied before the heads are joined, as most models do."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(32, 96)
        self.out = nn.Linear(32, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, 8, 32) of tokens (n, 8, 32)."""
        q, k, v = (part.unflatten(2, (2, 16)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=2))
        mixed = torch.softmax(q @ k.transpose(2, 3), dim=3) @ v
        return self.out(mixed.transpose(1, 2).clone().flatten(2))


class Encoder(nn.Module):
    """One layer of a text encoder: embeddings, masked attention spelled out, GELU, norms, a pooled vector."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 32)
        self.query, self.key, self.value = nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 32)
        self.out = nn.Linear(32, 32)
        self.first, self.second = nn.LayerNorm(32), nn.LayerNorm(32)
        self.up, self.down = nn.Linear(32, 64), nn.Linear(64, 32)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return (n, 32) of token numbers (n, 8); number 0 pads."""
        hidden = self.words(tokens)
        mask = (1.0 - (tokens > 0).float())[:, None, None, :] * torch.finfo(torch.float32).min
        parts = (part(hidden) for part in (self.query, self.key, self.value))
        q, k, v = (part.view(part.shape[0], 8, 2, 16).transpose(1, 2) for part in parts)
        weights = torch.softmax(q @ k.transpose(2, 3) / 4.0 + mask, dim=-1)
        mixed = (weights @ v).transpose(1, 2).contiguous().view(tokens.shape[0], 8, 32)
        hidden = self.first(hidden + self.out(mixed))
        hidden = self.second(hidden + self.down(nn.functional.gelu(self.up(hidden))))
        return hidden.mean(1)


class Ranges(fx.Interpreter):
    """Run a graph and keep the least and greatest entry of every value."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.found: dict[str, tuple[float, float]] = {}

    def run_node(self, n: fx.Node) -> object:
        """Run one node."""
        result = super().run_node(n)
        if isinstance(result, torch.Tensor) and result.is_floating_point():
            self.found[n.name] = (min(float(result.min()), 0.0), max(float(result.max()), 1e-6))
        return result


@dataclass
class Small:
    """The traced network with everything a test needs.

    Args:
        traced: the traced model.
        base: its export.
        images: float32 (8, 3, 16, 16).
        logits: float32 (8, 10), torch's own.
    """

    traced: TracedModel
    base: BaseOnnx
    images: NDArray[np.float32]
    logits: NDArray[np.float32]

    @classmethod
    def of(cls, net: nn.Module, inputs: torch.Tensor) -> Small:
        """Trace and export ``net``, which is run on ``inputs``."""
        with torch.no_grad():
            logits = net(inputs)
        traced = trace_model(net, (inputs[:1],))
        return cls(traced, export_onnx(traced), inputs.numpy(), logits.numpy())

    def plan(
        self,
        precisions: Mapping[str, str],
        rules: QuantizationRules = OPENVINO_RULES,
        float_type: str = "f32",
    ) -> QuantizationPlan:
        """Return the min-max plan of ``precisions``."""
        ranges = Ranges(self.traced.module)
        with torch.no_grad():
            ranges.run(torch.from_numpy(self.images))
        quantizers: dict[str, ActivationQuantizer] = {}
        for value, (low, high) in ranges.found.items():
            scale = np.float32((high - low) / 255)
            quantizers[value] = ActivationQuantizer(float(scale), int(np.rint(-low / scale)))
        reads = quantized_reads(self.traced.graph, precisions, rules)
        weights = {s: self._weight(s, o) for s, o in precisions.items() if o != "fp"}
        return QuantizationPlan(weights, {r: quantizers[r[0]] for r in reads}, float_type, dict(precisions))

    def _weight(self, site: str, option: str) -> QuantizedWeight:
        precision = parse_precision(option)
        weight = self.traced.module.get_parameter(f"{site}.weight").detach().numpy()
        grouped = weight.reshape(len(weight), -1, precision.group or weight[0].size)
        high = 2 ** (precision.weight_bits - 1) - 1
        scale = (np.abs(grouped).max(-1) / high).astype(np.float32)
        codes = np.clip(np.rint(grouped / scale[..., None]), -high, high).astype(np.int8)
        return QuantizedWeight(
            codes.reshape(weight.shape),
            scale if precision.group else scale[:, 0],
            precision.weight_bits,
            precision.group,
        )


@pytest.fixture(scope="session")
def small() -> Small:
    """Return the traced and exported network."""
    generator = torch.Generator().manual_seed(0)
    net = SmallNet().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
        net.norm.running_mean.copy_(torch.randn(16, generator=generator) * 0.1)
    images = torch.randn(8, 3, 16, 16, generator=generator)
    return Small.of(net, images)


@pytest.fixture(scope="session")
def heads() -> Small:
    """Return the traced and exported attention."""
    generator = torch.Generator().manual_seed(1)
    net = HeadsNet().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return Small.of(net, torch.randn(8, 8, 32, generator=generator))


@pytest.fixture(scope="session")
def encoder() -> Small:
    """Return the traced and exported text encoder."""
    generator = torch.Generator().manual_seed(2)
    net = Encoder().eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "first" not in name and "second" not in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    tokens = torch.randint(1, 50, (8, 8), generator=generator)
    tokens[::2, 6:] = 0
    return Small.of(net, tokens)
