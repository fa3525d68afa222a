"""A network of every kind of site that targets quantize, small enough to be served in no time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from automl.core.rng import child_rng
from automl.core.samples import Samples
from automl.searchspaces.trace import trace_model
from automl.targets.onnx_export import export_onnx
from automl.transforms.calibrate import calibrate
from automl.transforms.materialize import materialize
from automl.transforms.quantize import Quantizer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from automl.searchspaces.graph import TracedModel
    from automl.targets.base import Target
    from automl.targets.onnx_export import BaseOnnx
    from automl.transforms.calibrate import Calibration
    from automl.transforms.plan import QuantizationPlan

__all__ = ["TinyModel", "tiny_model"]

SAMPLES = 8


class _Net(nn.Module):
    """Two convolutions with a residual sum, and matrix layers whose inputs divide by the groups."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.body = nn.Conv2d(16, 16, 3, padding=1)
        self.wide = nn.Linear(16, 128)
        self.deep = nn.Linear(128, 64, bias=False)
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, 10) of images (n, 3, 8, 8)."""
        x = torch.relu(self.stem(x))
        x = torch.relu(self.body(x) + x)
        x = torch.relu(self.wide(x.mean((2, 3))))
        y: torch.Tensor = self.head(torch.relu(self.deep(x)))
        return y


@dataclass(frozen=True, eq=False)
class TinyModel:
    """The network with everything a check of a target needs.

    Args:
        traced: the traced network.
        base: its export.
        images: float32 (8, 3, 8, 8).
        outputs: float32 (8, 10), torch's own.
    """

    traced: TracedModel
    base: BaseOnnx
    images: NDArray[np.float32]
    outputs: NDArray[np.float32]

    @cached_property
    def _calibration(self) -> Calibration:
        return calibrate(self.traced, Samples((self.images,)), batch=SAMPLES)

    def plan(
        self, target: Target, precisions: Mapping[str, str], float_type: str = "f32"
    ) -> QuantizationPlan:
        """Return the plan of options by site under the rules of a target."""
        return Quantizer(self.traced, self._calibration, target.rules).plan(precisions, float_type)

    def simulated(self, plan: QuantizationPlan) -> NDArray[np.float32]:
        """Return what torch computes of the plan, (8, 10)."""
        with torch.no_grad():
            result: torch.Tensor = materialize(self.traced, plan)(torch.from_numpy(self.images))
        found: NDArray[np.float32] = result.numpy()
        return found


def tiny_model() -> TinyModel:
    """Return the network with drawn weights, traced and exported."""
    rng = child_rng(0, "tiny_model")
    net = _Net().eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            drawn = rng.normal(size=tuple(parameter.shape)) * (0.25 if name.endswith("weight") else 0.1)
            parameter.copy_(torch.from_numpy(drawn))
        images = torch.from_numpy(rng.normal(size=(SAMPLES, 3, 8, 8)).astype(np.float32))
        outputs = net(images)
    traced = trace_model(net, (images[:1],))
    return TinyModel(traced, export_onnx(traced), images.numpy(), outputs.numpy())
