"""Repair of a finalist: walk the float and the quantized network side by side, re-fitting each layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import torch
from torch import fx

from automl.core.errors import ModelError
from automl.transforms.activation_ranges import activation_quantizer
from automl.transforms.calibrate import HOLD
from automl.transforms.calibrate import ValueHistogram
from automl.transforms.calibrate import choose_positions
from automl.transforms.calibrate import held_out
from automl.transforms.calibrate import rows_per_sample
from automl.transforms.layer_rounding import LayerRounder
from automl.transforms.layer_rounding import RoundedLayer
from automl.transforms.layer_rounding import nearest_layer
from automl.transforms.plan import ActivationQuantizer
from automl.transforms.plan import QuantizationPlan
from automl.transforms.plan import QuantizedWeight
from automl.transforms.quantization_math import dequantize_symmetric
from automl.transforms.rounding_math import quadratic_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from automl.core.samples import Samples
    from automl.transforms.quantize import Quantizer
    from automl.transforms.site_rows import SiteRows

__all__ = ["repair_plan"]

#: Ridge strengths tried for the least-squares target, relative to the mean diagonal.
RIDGES = (0.01, 0.1, 1.0)


@dataclass
class _Pair:
    """Second moments of quantized-chain rows against the float output they should give."""

    gram: NDArray[np.float64]
    cross: NDArray[np.float64]
    mean: NDArray[np.float64]
    output_mean: NDArray[np.float64]
    count: int

    @classmethod
    def empty(cls, rows: SiteRows) -> _Pair:
        g, r, c = rows.groups, rows.rows, rows.columns
        return cls(np.zeros((g, c, c)), np.zeros((g, r, c)), np.zeros((g, c)), np.zeros((g, r)), 0)

    def add(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Add rows x (groups, n, columns) with outputs y (groups, n, rows)."""
        self.gram += (x.transpose(1, 2) @ x).numpy()
        self.cross += (y.transpose(1, 2) @ x).numpy()
        self.mean += x.sum(1).numpy()
        self.output_mean += y.sum(1).numpy()
        self.count += x.shape[1]

    def normalized(self, *, centred: bool) -> _Pair:
        """Return means, and second moments about them when ``centred``."""
        n = max(self.count, 1)
        gram, cross, mean, out = self.gram / n, self.cross / n, self.mean / n, self.output_mean / n
        if centred:
            gram = gram - mean[:, :, None] * mean[:, None, :]
            cross = cross - out[:, :, None] * mean[:, None, :]
        return _Pair(gram, cross, mean, out, self.count)

    def loss(self, weight: NDArray[Any]) -> NDArray[np.float64]:
        """Return each row's squared error up to a constant of the float output, (groups, rows)."""
        loss: NDArray[np.float64] = quadratic_error(weight, self.gram)
        loss -= 2 * np.einsum("grc,grc->gr", weight, self.cross)
        return loss


def repair_plan(
    quantizer: Quantizer, plan: QuantizationPlan, samples: Samples, *, batch: int = 32, max_rows: int = 32768
) -> QuantizationPlan:
    """Return the plan with ranges, roundings and biases re-fitted on quantized-chain inputs.

    Layers are visited in execution order. Each layer sees the inputs that the layers before it, already
    repaired, really give, and is fitted to the float network's output: a ridge regression moves the float
    weight to where it cancels the error made so far, compensated rounding follows, the bias takes the mean.
    A layer whose output enters a residual add also takes over the error of the other operand. A row keeps the
    plan's rounding when that has the smaller error on held-out samples. Deterministic.

    Args:
        quantizer: gives float weights, settings and seed.
        plan: the candidate's plan.
        samples: calibration inputs; labels are not read.
        batch: samples run together.
        max_rows: rows a layer is fitted on.

    Reference:
        GPTAQ, arXiv 2504.02692 (asymmetric calibration), as a regression with a held-out ridge, plus the
        residual term, which is ours.
    """
    with torch.inference_mode():
        return _Chain(quantizer, plan, samples, batch, max_rows).run()


class _Chain:
    """State of the walk: for each live value the float and the quantized chunks."""

    def __init__(
        self, quantizer: Quantizer, plan: QuantizationPlan, samples: Samples, batch: int, max_rows: int
    ) -> None:
        self.quantizer = quantizer
        self.plan = plan
        traced = quantizer.traced
        size = batch if traced.dynamic_batch else traced.example_inputs[0].shape[0]
        self.chunks = [
            tuple(torch.from_numpy(np.ascontiguousarray(a)) for a in arrays)
            for arrays in samples.batches(size)
            if traced.dynamic_batch or len(arrays[0]) == size
        ]
        self.size = size
        self.n_samples = len(samples)
        self.max_rows = max_rows
        self.graph: fx.Graph = traced.module.graph
        self.site_of = {n.name: n.site for n in traced.graph.nodes if n.site is not None}
        self.runner = fx.Interpreter(traced.module)
        self.exact: dict[str, list[Any]] = {}
        self.real: dict[str, list[Any]] = {}
        self.rounded: dict[str, list[torch.Tensor]] = {}
        self.quantizers: dict[str, ActivationQuantizer] = {}
        self.weights: dict[str, QuantizedWeight] = dict(plan.weights)
        self.done: set[str] = set()
        self.last_use: dict[str, list[str]] = {}
        used: set[str] = set()
        for node in reversed(list(self.graph.nodes)):
            fresh = [a.name for a in node.all_input_nodes if a.name not in used]
            used.update(fresh)
            self.last_use[node.name] = fresh

    def run(self) -> QuantizationPlan:
        edge_values = {value for value, _ in self.plan.edges}
        inputs = 0
        for node in self.graph.nodes:
            if node.op == "output":
                break
            if node.op == "placeholder":
                self.exact[node.name] = self.real[node.name] = [c[inputs] for c in self.chunks]
                inputs += 1
            elif node.op == "get_attr":
                constant = self.runner.fetch_attr(str(node.target))
                self.exact[node.name] = self.real[node.name] = [constant] * len(self.chunks)
            else:
                self._compute(node)
            if node.name in edge_values:
                self._range(node.name)
            for name in self.last_use[node.name]:
                for table in (self.exact, self.real, self.rounded):
                    table.pop(name, None)
        edges = {read: self.quantizers[read[0]] for read in self.plan.edges}
        return QuantizationPlan(self.weights, edges, self.plan.float_type, self.plan.precisions)

    def _range(self, name: str) -> None:
        histogram = ValueHistogram.empty()
        for chunk in self.real[name]:
            flat = chunk.reshape(-1)
            histogram = histogram.add(flat[:: max(1, flat.numel() // 262_147)].numpy())
        self.quantizers[name] = activation_quantizer(histogram, self.quantizer.settings)

    def _read(self, value: str, consumer: str, index: int) -> Any:
        """Return a chunk of a value as the quantized network's consumer sees it."""
        if (value, consumer) not in self.plan.edges:
            return self.real[value][index]
        if value not in self.rounded:
            q = self.quantizers[value]
            self.rounded[value] = [
                torch.fake_quantize_per_tensor_affine(c, q.scale, q.zero_point, 0, 2**q.bits - 1)
                for c in self.real[value]
            ]
        return self.rounded[value][index]

    def _call(self, node: fx.Node, lookup: Callable[[fx.Node], Any]) -> Any:
        args, kwargs = fx.map_arg((node.args, node.kwargs), lookup)
        return getattr(self.runner, node.op)(node.target, args, kwargs)

    def _compute(self, node: fx.Node) -> None:
        count = len(self.chunks)

        def exact(i: int) -> Callable[[fx.Node], Any]:
            return lambda a: self.exact[a.name][i]

        def real(i: int) -> Callable[[fx.Node], Any]:
            return lambda a: self._read(a.name, node.name, i)

        self.exact[node.name] = [self._call(node, exact(i)) for i in range(count)]
        site = self.site_of.get(node.name)
        if site is None or site not in self.weights:
            self.real[node.name] = [self._call(node, real(i)) for i in range(count)]
            return
        if site not in self.done:
            self.done.add(site)
            self._refit(site, node)
        constants = self._constants(site, node)

        def repaired(i: int) -> Callable[[fx.Node], Any]:
            return lambda a: constants[a.name] if a.name in constants else self._read(a.name, node.name, i)

        self.real[node.name] = [self._call(node, repaired(i)) for i in range(count)]

    def _constants(self, site: str, node: fx.Node) -> dict[str, torch.Tensor]:
        quantized = self.weights[site]
        value = torch.from_numpy(dequantize_symmetric(quantized.codes, quantized.scale, quantized.group))
        index = 0 if self.quantizer.traced.graph.site(site).op == "embedding" else 1
        constants = {_argument(node, index): value}
        if quantized.bias is not None:
            constants[_argument(node, 2)] = torch.from_numpy(quantized.bias)
        return constants

    def _residual(self, node: fx.Node) -> tuple[str, str] | None:
        """Return (other operand, add) when the site's output only enters an add whose other side is known."""
        users = list(node.users)
        if len(users) != 1 or "aten.add" not in str(users[0].target):
            return None
        others = [a for a in users[0].all_input_nodes if a is not node]
        if len(others) != 1 or others[0].name not in self.real:
            return None
        shapes = {tuple(t.shape) for t in (self.real[others[0].name][0], self.exact[node.name][0])}
        return (others[0].name, users[0].name) if len(shapes) == 1 else None

    def _moments(self, site: str, node: fx.Node, rows: SiteRows) -> tuple[_Pair, _Pair]:
        fit, held = _Pair.empty(rows), _Pair.empty(rows)
        source = node.all_input_nodes[0].name
        residual = self._residual(node)
        for i in range(len(self.chunks)):
            x = self._read(source, node.name, i)
            wanted = rows_per_sample(rows.columns, self.n_samples, self.max_rows)
            chosen = choose_positions(rows.positions(x), wanted, self.quantizer.calibration.seed, site, i)
            y = self.exact[node.name][i]
            if residual is not None:
                other, add = residual
                y = y + (self.exact[other][i] - self._read(other, add, i))
            inputs, outputs = rows.inputs(x, chosen), rows.outputs(y, chosen)
            mask = torch.from_numpy(held_out(i * self.size, len(x)))
            if self.n_samples < 2 * HOLD:
                # too few samples to spare any: judge on every fourth row instead
                inputs = inputs.reshape(rows.groups, -1, 1, rows.columns)
                outputs = outputs.reshape(rows.groups, -1, 1, rows.rows)
                mask = torch.from_numpy(held_out(0, inputs.shape[1]))
            for part, pair in ((~mask, fit), (mask, held)):
                pair.add(
                    inputs[:, part].reshape(rows.groups, -1, rows.columns),
                    outputs[:, part].reshape(rows.groups, -1, rows.rows),
                )
        return fit, held

    def _refit(self, site: str, node: fx.Node) -> None:
        rows = self.quantizer.rows(site)
        if rows is None or site not in self.quantizer.calibration.moments:
            return
        old = self.weights[site]
        settings = self.quantizer.settings
        bias = self.quantizer.float_bias(site)
        centred = bias is not None and settings.correct_bias
        sums = self._moments(site, node, rows)
        fit, held = (s.normalized(centred=centred) for s in sums)
        judge = held if held.count else fit
        matrices = rows.matrices(self.quantizer.float_weight(site)).astype(np.float64)
        layer = RoundedLayer(rows.matrices(old.codes), old.scale, old.group)
        target = _best_target(matrices, fit, judge)
        if old.bits < settings.compensate_below:
            fresh = LayerRounder(fit.gram, fit.count, settings).round(target, old.bits, group=old.group)
        else:
            fresh = nearest_layer(target, old.bits, settings, group=old.group)
        layer = layer.choose(fresh, judge.loss(fresh.values()) < judge.loss(layer.values()))
        if centred:
            values = layer.values().astype(np.float64)
            both = _Pair(*(getattr(sums[0], k) + getattr(sums[1], k) for k in _Pair.__annotations__))
            means = both.normalized(centred=False)
            shift = means.output_mean - np.einsum("grc,gc->gr", values, means.mean)
            bias = shift.reshape(-1).astype(np.float32)
        shape = old.codes.shape
        self.weights[site] = QuantizedWeight(
            layer.codes.reshape(shape), layer.scale, old.bits, old.group, bias if centred else old.bias
        )


def _argument(node: fx.Node, index: int) -> str:
    found = node.args[index]
    if not isinstance(found, fx.Node):
        raise ModelError(f"argument {index} of '{node.name}' is no value; trace the model again")
    return found.name


def _best_target(weight: NDArray[np.float64], fit: _Pair, judge: _Pair) -> NDArray[np.float64]:
    """Return the float weight or the ridge regression with the smallest total held-out error."""
    best, least = weight, float(judge.loss(weight).sum())
    index = np.arange(weight.shape[-1])
    for ridge in RIDGES:
        gram = fit.gram.copy()
        level = np.maximum(gram[:, index, index].mean(axis=1, keepdims=True), 1e-12)
        gram[:, index, index] += ridge * level
        slope = np.swapaxes(fit.cross - weight @ fit.gram, 1, 2)
        moved = weight + np.swapaxes(np.linalg.solve(gram, slope), 1, 2)
        loss = float(judge.loss(moved).sum())
        if loss < least:
            best, least = moved, loss
    return best
