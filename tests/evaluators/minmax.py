"""A plain min-max quantizer, independent of the product's, for tests of what consumes plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from automl.transforms.plan import ActivationQuantizer
from automl.transforms.plan import QuantizedWeight

if TYPE_CHECKING:
    from automl.searchspaces.graph import TracedModel


class MinMax:
    def __init__(self, traced: TracedModel, inputs: tuple[torch.Tensor, ...]) -> None:
        self.traced = traced
        self.ranges: dict[str, tuple[float, float]] = {}
        ranges = self.ranges

        class Recorder(torch.fx.Interpreter):
            def run_node(self, n):
                value = super().run_node(n)
                if isinstance(value, torch.Tensor) and value.is_floating_point():
                    ranges[n.name] = (min(0.0, float(value.min())), max(0.0, float(value.max())))
                return value

        with torch.no_grad():
            Recorder(traced.module).run(*inputs)

    def weight(self, site: str, option: str) -> QuantizedWeight:
        bits = int(option[1])
        w = self.traced.module.get_parameter(f"{site}.weight").detach().numpy()
        top = 2 ** (bits - 1) - 1
        scale = (np.abs(w).reshape(len(w), -1).max(1) / top + 1e-12).astype(np.float32)
        codes = np.rint(w / scale.reshape(-1, *[1] * (w.ndim - 1))).astype(np.int8)
        return QuantizedWeight(codes, scale, bits)

    def edges(self, site: str, option: str) -> dict[tuple[str, str], ActivationQuantizer]:
        node = self.traced.graph.site(site).node
        value = self.traced.graph.node_by_name[node].inputs[0]
        if not option.endswith("a8") or value not in self.ranges:
            return {}
        low, high = self.ranges[value]
        scale = float(np.float32(max(high - low, 1e-8) / 255))
        return {(value, node): ActivationQuantizer(scale, int(np.clip(round(-low / scale), 0, 255)))}
