"""The task's own loss of a mixture of precisions, and its derivative by the shares: for searches by gradient.

A weight is mixed from its quantized forms in the shares of its options, a quantized read moves that part of
the way to its rounded value, and the divergence of the whole model from the untouched one is differentiated
through both. At shares of 0 and 1 this is the divergence of the materialized options; between, it is a
smooth path and no measurement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import torch
from torch import fx

from automl.core.errors import EvaluationError
from automl.evaluators.sensitivity import divergence
from automl.transforms.materialize import dequantize
from automl.transforms.materialize import fake_quantize

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.core.samples import Samples
    from automl.evaluators.sensitivity import Task
    from automl.searchspaces.graph import TracedModel
    from automl.searchspaces.space import SearchSpace
    from automl.transforms.plan import ActivationQuantizer
    from automl.transforms.plan import QuantizedWeight

__all__ = ["RelaxedQuality"]


class _Mixed(torch.autograd.Function):
    """``weight + sum of shares x (quantized - weight)``; the quantized forms are made again going back.

    Keeping them instead would hold as many copies of the model as there are options.
    """

    @staticmethod
    def forward(
        ctx: Any, shares: torch.Tensor, weight: torch.Tensor, forms: Sequence[Callable[[], torch.Tensor]]
    ) -> torch.Tensor:
        ctx.weight, ctx.forms = weight, forms
        mixed = weight.clone()
        for share, form in zip(shares.tolist(), forms, strict=True):
            if share > 0:
                mixed.add_(form() - weight, alpha=share)
        return mixed

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (upstream,) = grads
        slopes = [(upstream * (form() - ctx.weight)).sum() for form in ctx.forms]
        return torch.stack(slopes), None, None


class RelaxedQuality:
    """Divergence from the untouched model where every dimension takes its options in shares.

    A read that several dimensions quantize alike is rounded with the chance that any of them does. Options of
    other kinds than precision add a given price.

    Args:
        traced: the model; not changed.
        samples: calibration samples; step ``n`` looks at batch ``n`` of them, around and around.
        space: gives the precision dimensions.
        weights_of: (site, option) -> quantized weight.
        edges_of: (site, option) -> quantized reads of that option alone.
        prices: dimension name -> price of each of its options, for dimensions of other kinds.
        task: what the first output is.
        batch_size: samples a batch.
    """

    def __init__(
        self,
        traced: TracedModel,
        samples: Samples,
        space: SearchSpace,
        weights_of: Callable[[str, str], QuantizedWeight],
        edges_of: Callable[[str, str], Mapping[tuple[str, str], ActivationQuantizer]],
        *,
        prices: Mapping[str, NDArray[np.float64]],
        task: Task = "logits",
        batch_size: int = 4,
    ) -> None:
        self._traced = traced
        self._samples = samples
        self._space = space
        self._weights_of = weights_of
        self._edges_of = edges_of
        self._prices = dict(prices)
        self._task: Task = task
        self._batch_size = min(batch_size, len(samples))
        self._references: dict[int, torch.Tensor] = {}
        self._plan: _MixturePlan | None = None

    def __call__(self, shares: NDArray[np.float64], step: int) -> tuple[float, NDArray[np.float64]]:
        """Return the loss and its derivative by the shares, of their shape (n_dimensions, width).

        Raises:
            EvaluationError: the mixture's outputs are not finite.
        """
        if self._plan is None:
            self._plan = _MixturePlan(self._space, self._weights_of, self._edges_of)
        batches = -(-len(self._samples) // self._batch_size)
        start = step % batches * self._batch_size
        inputs = self._samples.take(slice(start, start + self._batch_size)).inputs
        feeds = tuple(torch.from_numpy(a.copy()) for a in inputs)
        if start not in self._references:
            with torch.no_grad():
                self._references[start] = _first(fx.Interpreter(self._traced.module).run(*feeds))
        relaxed = torch.from_numpy(shares.astype(np.float32)).requires_grad_()
        output = _first(_Mixture(self._traced.module, self._plan, relaxed).run(*feeds))
        loss = divergence(self._references[start], output, self._task).mean()
        value = float(loss.detach())
        if not np.isfinite(value):
            raise EvaluationError(
                f"the mixture's loss is {value}; leave out options whose outputs are not finite, or "
                "use --strategy evolutionary"
            )
        slopes = np.zeros(shares.shape)
        if loss.requires_grad:
            (gradient,) = torch.autograd.grad(loss, relaxed)
            slopes = gradient.numpy().astype(np.float64)
        for row, dimension in enumerate(self._space.dimensions):
            if dimension.name in self._prices:
                price = self._prices[dimension.name]
                value += float(shares[row, : len(price)] @ price)
                slopes[row, : len(price)] += price
        return value, slopes


class _MixturePlan:
    """Which shares mix which parameter, and which round which read."""

    def __init__(
        self,
        space: SearchSpace,
        weights_of: Callable[[str, str], QuantizedWeight],
        edges_of: Callable[[str, str], Mapping[tuple[str, str], ActivationQuantizer]],
    ) -> None:
        #: parameter -> (row of the shares, columns, forms in their order).
        self.parameters: dict[str, tuple[int, list[int], list[Callable[[], torch.Tensor]]]] = {}
        #: consumer -> value -> quantizer -> row of the shares -> columns that round so.
        self.reads: dict[str, dict[str, dict[ActivationQuantizer, dict[int, list[int]]]]] = {}
        for row, dimension in enumerate(space.dimensions):
            if dimension.kind != "precision":
                continue
            for column, option in enumerate(map(str, dimension.options)):
                if option == "fp":
                    continue
                for site in dimension.sites:
                    self._add(row, column, site, weights_of(site, option))
                    for (value, consumer), quantizer in edges_of(site, option).items():
                        by_row = self.reads.setdefault(consumer, {}).setdefault(value, {})
                        columns = by_row.setdefault(quantizer, {}).setdefault(row, [])
                        if column not in columns:
                            columns.append(column)

    def _add(self, row: int, column: int, site: str, weight: QuantizedWeight) -> None:
        forms = {f"{site}.weight": lambda: torch.from_numpy(dequantize(weight))}
        if weight.bias is not None:
            bias = weight.bias
            forms[f"{site}.bias"] = lambda: torch.from_numpy(bias.copy())
        for name, form in forms.items():
            _, columns, known = self.parameters.setdefault(name, (row, [], []))
            columns.append(column)
            known.append(form)


class _Mixture(fx.Interpreter):
    """Runs the traced graph on mixed parameters and partly rounded reads."""

    def __init__(self, module: fx.GraphModule, plan: _MixturePlan, shares: torch.Tensor) -> None:
        super().__init__(module)
        self._plan = plan
        self._shares = shares

    def run_node(self, n: fx.Node) -> Any:
        if n.op == "get_attr":
            value = super().run_node(n)
            return self._parameter(str(n.target), value) if isinstance(value, torch.Tensor) else value
        reads = self._plan.reads.get(n.name)
        if reads is None or n.op != "call_function":
            return super().run_node(n)

        def read(source: fx.Node) -> Any:
            label = str(source.target) if source.op == "get_attr" else source.name
            value = self.env[source]
            return self._rounded(value, reads[label]) if label in reads else value

        target: Any = n.target
        return target(*fx.node.map_arg(n.args, read), **fx.node.map_arg(n.kwargs, read))

    def _parameter(self, name: str, value: torch.Tensor) -> torch.Tensor:
        if name not in self._plan.parameters:
            return value.detach()
        row, columns, forms = self._plan.parameters[name]
        mixed: torch.Tensor = _Mixed.apply(self._shares[row, columns], value.detach(), forms)
        return mixed

    def _rounded(
        self, value: torch.Tensor, quantizers: Mapping[ActivationQuantizer, Mapping[int, list[int]]]
    ) -> torch.Tensor:
        """Return the value moved towards its rounded form; the gradient passes as if it was not rounded."""
        mixed = value
        for quantizer, rows in quantizers.items():
            stays = torch.ones(())
            for row, columns in rows.items():
                stays = stays * (1.0 - self._shares[row, columns].sum())
            with torch.no_grad():
                exact = value.detach()
                error = fake_quantize(exact, quantizer.scale, quantizer.zero_point, quantizer.bits) - exact
            mixed = mixed + (1.0 - stays) * error
        return mixed


def _first(outputs: Any) -> torch.Tensor:
    tensor: torch.Tensor = torch.utils._pytree.tree_leaves(outputs)[0]
    return tensor
