"""The sensitivity ladder: what each precision option of each site costs in quality, from cheap to dear.

===================  ===============================================  ==================================
table                value of (site, option)                          cost
===================  ===============================================  ==================================
:func:`sqnr_table`   noise-to-signal power of the site's own output   one layer per option
:func:`fisher_table` 1/2 E (g . d)^2, first order through the model   one backward + one layer per option
:func:`kl_table`     KL(model || model with that option alone)        one suffix run per option
===================  ===============================================  ==================================

Larger is worse everywhere; an option without any change costs 0. ``task='logits'`` reads the first output as
logits over its last axis, every other axis as samples (each token of a language model).
``task='embedding'`` has no distribution to compare, so the Fisher and KL tables hold the squared error of the
first output over its mean square instead.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING
from typing import Any
from typing import Literal

import torch
from scipy.stats import spearmanr
from torch import fx

from automl.core.errors import EvaluationError
from automl.evaluators.suffix import Change
from automl.evaluators.suffix import SuffixRunner
from automl.transforms.materialize import dequantize
from automl.transforms.materialize import fake_quantize

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Iterator
    from collections.abc import Mapping

    from automl.core.samples import Samples
    from automl.evaluators.cache import ContentCache
    from automl.searchspaces.graph import TracedModel
    from automl.transforms.plan import ActivationQuantizer
    from automl.transforms.plan import QuantizedWeight

__all__ = [
    "Table",
    "Task",
    "agreement",
    "cached_table",
    "divergence",
    "fisher_table",
    "kl_table",
    "sqnr_table",
    "table_key",
]

Task = Literal["logits", "embedding"]
Table = dict[tuple[str, str], float]


def divergence(reference: torch.Tensor, output: torch.Tensor, task: Task) -> torch.Tensor:
    """Return how far ``output`` is from ``reference`` for each sample, shape of the leading axes flattened.

    ``logits``: KL(softmax(reference) || softmax(output)) in nats. ``embedding``: squared error over the mean
    square of the reference, rows flattened.
    """
    if task == "logits":
        p, q = (t.flatten(0, -2).log_softmax(-1) for t in (reference.float(), output.float()))
        return (p.exp() * (p - q)).sum(-1)
    a, b = (t.flatten(1).float() for t in (reference, output))
    return (a - b).square().sum(1) / a.square().sum(1).mean().clamp(min=1e-30)


def kl_table(
    traced: TracedModel,
    samples: Samples,
    weights_of: Callable[[str, str], QuantizedWeight],
    edges_of: Callable[[str, str], Mapping[tuple[str, str], ActivationQuantizer]],
    options: Mapping[str, tuple[str, ...]],
    *,
    task: Task = "logits",
    batch_size: int = 4,
    progress: Callable[[int, int], None] | None = None,
) -> Table:
    """Return the divergence from the unchanged model with each option alone, mean over samples.

    Each batch runs once; each option then re-runs only what follows its site
    (:class:`automl.evaluators.suffix.SuffixRunner`). ``fp`` is 0 and not run. ``progress`` is called with the
    suffix runs of one sample done and their total, after each batch.

    Raises:
        EvaluationError: a value is not finite.
    """
    changes = _changes(traced, weights_of, edges_of, options)
    sums, count, done = dict.fromkeys(changes, 0.0), 0, 0
    runner = SuffixRunner(traced)
    with torch.inference_mode():
        for batch in _tensors(samples, batch_size):
            reference = runner.run(batch)[0]
            for key, change in changes.items():
                gap = divergence(reference, runner.rerun(change)[0], task)
                sums[key] += float(gap.double().sum())
            count += len(divergence(reference, reference, task))
            done += len(batch[0])
            if progress is not None:
                progress(done * len(changes), len(samples) * len(changes))
    return _complete({key: value / count for key, value in sums.items()}, options, "KL")


def sqnr_table(
    traced: TracedModel,
    samples: Samples,
    weights_of: Callable[[str, str], QuantizedWeight],
    edges_of: Callable[[str, str], Mapping[tuple[str, str], ActivationQuantizer]],
    options: Mapping[str, tuple[str, ...]],
    *,
    batch_size: int = 4,
) -> Table:
    """Return noise power over signal power of the site's output on the model's own input to it.

    The signal-to-noise ratio in dB is ``-10 log10`` of it. Quantized reads at other nodes (residual adds) do
    not count here.

    Raises:
        EvaluationError: a value is not finite.
    """
    changes = _changes(traced, weights_of, edges_of, options)
    noise, signal = dict.fromkeys(changes, 0.0), dict.fromkeys(changes, 0.0)
    with torch.no_grad():
        for batch in _tensors(samples, batch_size):
            probe = _Probe(traced, changes, sites_only=True)
            probe.run(*batch)
            for key in changes:
                for name, delta in probe.deltas(key):
                    noise[key] += float(delta.double().square().sum())
                    signal[key] += float(probe.values[name].double().square().sum())
    ratios = {key: noise[key] / max(signal[key], 1e-30) for key in changes}
    return _complete(ratios, options, "SQNR")


def fisher_table(
    traced: TracedModel,
    samples: Samples,
    weights_of: Callable[[str, str], QuantizedWeight],
    edges_of: Callable[[str, str], Mapping[tuple[str, str], ActivationQuantizer]],
    options: Mapping[str, tuple[str, ...]],
    seed: int,
    *,
    task: Task = "logits",
    batch_size: int = 4,
    draws: int = 1,
) -> Table:
    """Return 1/2 E (g . d)^2: the KL of each option alone to second order, from one backward a batch.

    g is the gradient of -log p(y) with y drawn from the model's own softmax (the KL's own gradient is zero at
    the unchanged model), d the change the option makes. Instead of per-sample weight gradients, d is taken at
    the output of the changed node: (g_output . (node(changed) - node)), per sample, which is the same number
    to first order and includes weights, bias and quantized reads at once. Tokens' labels are drawn
    independently, so the square of their sum estimates the sum of their squares, divided by the number of
    tokens. For ``embedding`` g is that of (v . output) with v standard normal, whose mean square is the
    squared error of the output; no factor 1/2, over the output's mean square.

    Args:
        traced: the model.
        samples: unlabelled inputs.
        weights_of: (site, option) -> quantized weight.
        edges_of: (site, option) -> quantized reads.
        options: options to price by site; ``fp`` is 0.
        seed: of the drawn labels.
        task: what the first output is.
        batch_size: samples a backward.
        draws: labels drawn for each sample; each costs one backward.

    Raises:
        EvaluationError: a value is not finite.

    Reference: "Patch-wise Mixed-Precision Quantization of Vision Transformer", arXiv 2305.06559; the estimate
    itself is a reconstruction, taken at node outputs instead of weights.
    """
    changes = _changes(traced, weights_of, edges_of, options)
    generator = torch.Generator().manual_seed(seed)
    sums, count, power = dict.fromkeys(changes, 0.0), 0, 0.0
    for batch in _tensors(samples, batch_size):
        probe = _Probe(traced, changes, sites_only=False)
        output = _first(probe.run(*batch))
        size = output.shape[0]
        tokens = math.prod(output.shape[1:-1]) if task == "logits" else 1
        gradients = [
            probe.gradients(_drawn_loss(output, task, generator), d + 1 < draws) for d in range(draws)
        ]
        with torch.no_grad():
            for key in changes:
                dots = torch.zeros(draws, size, dtype=torch.float64)
                for name, delta in probe.deltas(key):
                    for draw, gradient in enumerate(gradients):
                        if name in gradient:
                            dots[draw] += _per_sample(gradient[name], delta, size)
                sums[key] += float(dots.square().mean(0).sum()) / tokens
        count += size
        power += float(output.detach().double().square().sum())
    factor = 0.5 / count if task == "logits" else 1.0 / max(power, 1e-30)
    return _complete({key: value * factor for key, value in sums.items()}, options, "Fisher")


def _drawn_loss(output: torch.Tensor, task: Task, generator: torch.Generator) -> torch.Tensor:
    if task == "embedding":
        return (output * torch.randn(output.shape, generator=generator)).sum()
    logs = output.flatten(0, -2).log_softmax(-1)
    labels = torch.multinomial(logs.detach().exp(), 1, generator=generator)
    return -logs.gather(1, labels).sum()


def _per_sample(gradient: torch.Tensor, delta: torch.Tensor, size: int) -> torch.Tensor:
    """Return the dot product for each sample; the batch is found by its length, first axis first.

    A value without a batch axis (a positional table) has one product for the whole batch; it is spread so
    that its square is kept, the expectation being that of independent samples.
    """
    product = gradient.double() * delta.double()
    for axis, length in enumerate(product.shape):
        if length == size:
            return product.movedim(axis, 0).reshape(size, -1).sum(1)
    if product.shape[0] % size == 0:
        return product.reshape(size, -1).sum(1)
    return torch.full((size,), float(product.sum()) / math.sqrt(size), dtype=torch.float64)


class _Probe(fx.Interpreter):
    """Run the traced graph and keep, at the nodes some change touches, inputs and outputs."""

    def __init__(
        self, traced: TracedModel, changes: Mapping[tuple[str, str], Change], *, sites_only: bool
    ) -> None:
        super().__init__(traced.module)
        self._changes = changes
        self._nodes: dict[str, Any] = {n.name: n for n in traced.module.graph.nodes}
        self._readers: dict[str, list[str]] = {}
        for node in traced.module.graph.nodes:
            for source in node.all_input_nodes:
                if source.op == "get_attr":
                    self._readers.setdefault(str(source.target), []).append(node.name)
        site_nodes = {n.name for n in traced.graph.nodes if n.site is not None}
        self._touched = {key: self._touches(change) for key, change in changes.items()}
        if sites_only:
            self._touched = {k: [n for n in v if n in site_nodes] for k, v in self._touched.items()}
        self._watched = {name for names in self._touched.values() for name in names}
        self._inputs: dict[str, dict[Any, Any]] = {}
        self.values: dict[str, torch.Tensor] = {}

    def _touches(self, change: Change) -> list[str]:
        names = [reader for p in change.parameters for reader in self._readers.get(p, [])]
        return list(dict.fromkeys([*names, *(consumer for _, consumer in change.edges)]))

    def run_node(self, n: fx.Node) -> Any:
        if n.op == "get_attr":
            value = super().run_node(n)
            return value.detach() if isinstance(value, torch.Tensor) else value
        if n.name in self._watched:
            self._inputs[n.name] = {a: self.env[a] for a in n.all_input_nodes}
        result = super().run_node(n)
        if n.name in self._watched:
            if torch.is_grad_enabled() and not result.requires_grad:
                result.requires_grad_()
            self.values[n.name] = result
        return result

    def gradients(self, loss: torch.Tensor, keep: bool) -> dict[str, torch.Tensor]:
        """Return the gradient of ``loss`` at every watched node that it depends on."""
        names = list(self.values)
        found = torch.autograd.grad(
            loss, [self.values[n] for n in names], retain_graph=keep, allow_unused=True
        )
        return {name: g for name, g in zip(names, found, strict=True) if g is not None}

    def deltas(self, key: tuple[str, str]) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield (node, its output under the change minus its output) for the nodes the change touches."""
        change = self._changes[key]
        for name in self._touched[key]:
            node, inputs = self._nodes[name], dict(self._inputs[name])
            for source in inputs:
                label = str(source.target) if source.op == "get_attr" else source.name
                quantizer = change.edges.get((label, name))
                if source.op == "get_attr" and label in change.parameters:
                    inputs[source] = change.parameters[label]
                elif quantizer is not None:
                    inputs[source] = fake_quantize(
                        inputs[source].detach(), quantizer.scale, quantizer.zero_point, quantizer.bits
                    )
            args = fx.node.map_arg(node.args, inputs.__getitem__)
            kwargs = fx.node.map_arg(node.kwargs, inputs.__getitem__)
            yield name, node.target(*args, **kwargs) - self.values[name].detach()


def _changes(
    traced: TracedModel,
    weights_of: Callable[[str, str], QuantizedWeight],
    edges_of: Callable[[str, str], Mapping[tuple[str, str], ActivationQuantizer]],
    options: Mapping[str, tuple[str, ...]],
) -> dict[tuple[str, str], Change]:
    changes = {}
    for site in (s.name for s in traced.graph.sites if s.name in options):
        for option in options[site]:
            if option == "fp":
                continue
            weight = weights_of(site, option)
            parameters = {f"{site}.weight": torch.from_numpy(dequantize(weight))}
            if weight.bias is not None:
                parameters[f"{site}.bias"] = torch.from_numpy(weight.bias.copy())
            changes[(site, option)] = Change(parameters, dict(edges_of(site, option)))
    return changes


def _tensors(samples: Samples, size: int) -> Iterator[tuple[torch.Tensor, ...]]:
    for batch in samples.batches(size):
        yield tuple(torch.from_numpy(a.copy()) for a in batch)


def _first(outputs: Any) -> torch.Tensor:
    tensor: torch.Tensor = torch.utils._pytree.tree_leaves(outputs)[0]
    return tensor


def _complete(table: Table, options: Mapping[str, tuple[str, ...]], name: str) -> Table:
    """Return the table with the zeros of ``fp``, in the order of ``options``."""
    for (site, option), value in table.items():
        if not math.isfinite(value):
            raise EvaluationError(
                f"the {name} sensitivity of {option} at '{site}' is {value}; its quantized outputs are not "
                "finite, so leave the option out or recalibrate"
            )
    return {(s, o): max(table.get((s, o), 0.0), 0.0) for s, names in options.items() for o in names}


def agreement(a: Table, b: Table) -> float:
    """Return Spearman's rank correlation of two tables over the quantized options they share.

    Raises:
        EvaluationError: they share fewer than three, or one of them is constant.
    """
    keys = [k for k in a if k in b and k[1] != "fp"]
    if len(keys) < 3 or any(len({t[k] for k in keys}) < 2 for t in (a, b)):
        raise EvaluationError(
            f"rank agreement needs three options that differ; the tables share {len(keys)} options"
        )
    return float(spearmanr([a[k] for k in keys], [b[k] for k in keys]).statistic)


def table_key(
    table: str,
    traced: TracedModel,
    samples: Samples,
    options: Mapping[str, tuple[str, ...]],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the cache key of a table: graph, weights, samples, options and settings by content.

    Args:
        table: ``sqnr``, ``fisher`` or ``kl``.
        traced: the model.
        samples: calibration samples.
        options: priced options.
        settings: whatever else the numbers depend on (range rules, task, seed, draws), JSON values.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(traced.module.state_dict().items()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(
            tensor.detach().contiguous().view(torch.uint8).numpy().tobytes() if tensor.numel() else b""
        )
    return {
        "table": table,
        "graph": traced.graph.fingerprint,
        "weights": digest.hexdigest()[:16],
        "samples": samples.fingerprint,
        "options": {site: list(names) for site, names in options.items()},
        "settings": dict(settings),
    }


def cached_table(cache: ContentCache | None, key: Mapping[str, Any], compute: Callable[[], Table]) -> Table:
    """Return the table stored under ``key``, or compute and store it."""
    stored = None if cache is None else cache.get(key)
    if isinstance(stored, dict):
        return {(site, option): float(v) for site, row in stored.items() for option, v in row.items()}
    table = compute()
    if cache is not None:
        rows: dict[str, dict[str, float]] = {}
        for (site, option), value in table.items():
            rows.setdefault(site, {})[option] = value
        cache.put(key, rows)
    return table
