"""Quality of outputs beside the outputs of the untouched model.

=====================  ===========  =====================================================================
task                   primary      also
=====================  ===========  =====================================================================
image-classification   accuracy     agreement, kl, drop = accuracy lost (with labels)
image-classification   agreement    kl, drop = 1 - agreement (without labels)
causal-lm              perplexity   agreement and kl per token, drop = relative increase of perplexity
encoder                cosine       drop = 1 - cosine
generic                cosine       psnr_db, drop = 1 - cosine
=====================  ===========  =====================================================================

``agreement`` is equality of the top class with the untouched model's, ``kl`` is KL(untouched || candidate).
All intervals are 95 %: Wilson for proportions, Bonett and Price for paired accuracy, bootstrap over windows
for perplexity, normal for other means. ``drop`` always compares the same samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl.core.errors import EvaluationError
from automl.core.errors import unknown_name
from automl.core.measurement import METRIC_UNITS
from automl.core.measurement import Metric
from automl.evaluators.quality_math import bootstrap_interval
from automl.evaluators.quality_math import cosine_rows
from automl.evaluators.quality_math import kl_rows
from automl.evaluators.quality_math import log_softmax
from automl.evaluators.quality_math import mean_interval
from automl.evaluators.quality_math import nll_rows
from automl.evaluators.quality_math import paired_difference_interval
from automl.evaluators.quality_math import wilson_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.core.samples import Samples

__all__ = [
    "PSNR_LIMIT_DB",
    "QualityAccumulator",
    "QualityReference",
    "primary_metric",
    "quality_targets",
    "score",
]

#: What psnr_db reports for equal outputs, whose ratio is infinite.
PSNR_LIMIT_DB = 150.0

_TASKS = ("image-classification", "encoder", "causal-lm", "generic")
# Rows of a language model compared at once: 64 x 49,152 float32 logits are 12 MiB.
_TOKENS_AT_ONCE = 64


def primary_metric(task: str, labelled: bool) -> str:
    """Return the metric that states the quality of a task.

    Raises:
        EvaluationError: the task is unknown.
    """
    _check_task(task)
    if task == "image-classification":
        return "accuracy" if labelled else "agreement"
    return "perplexity" if task == "causal-lm" else "cosine"


def quality_targets(task: str, samples: Samples) -> NDArray[np.int64] | None:
    """Return what the outputs for ``samples`` are scored against.

    Token numbers (n, tokens) for a causal language model, class numbers (n,) or None otherwise.
    """
    if task == "causal-lm":
        return samples.inputs[0].astype(np.int64)
    return samples.labels


def _check_task(task: str) -> None:
    if task not in _TASKS:
        raise EvaluationError(unknown_name("task", task, _TASKS))


class QualityAccumulator:
    """Collects outputs batch by batch; keeps a few numbers a sample, so large logits can be dropped.

    Args:
        task: the model's task.
        labels: of all samples in the order of the updates, see :func:`quality_targets`.

    Raises:
        EvaluationError: the task is unknown, or a causal language model lacks its token numbers.
    """

    def __init__(self, task: str, labels: NDArray[np.int64] | None = None) -> None:
        _check_task(task)
        if task == "causal-lm" and (labels is None or labels.ndim != 2 or labels.shape[1] < 2):
            raise EvaluationError(
                "perplexity needs the token numbers of every window, (n, tokens) with at least 2 tokens; "
                "pass them "
                "as labels"
            )
        self._task = task
        self._labels = labels
        self._seen = 0
        self._columns: dict[str, list[NDArray[np.float64]]] = {}
        self._peak_low = np.inf
        self._peak_high = -np.inf

    def update(self, outputs: NDArray[np.floating], reference: NDArray[np.floating]) -> None:
        """Add the next samples.

        Args:
            outputs: the candidate's outputs: (n, classes), (n, tokens, vocabulary) or (n, ...).
            reference: the untouched model's outputs for the same samples.

        Raises:
            EvaluationError: NaN or infinite outputs, different shapes, or more samples than labels.
        """
        if outputs.shape != reference.shape:
            raise EvaluationError(
                f"the candidate gives outputs of shape {outputs.shape} and the untouched model "
                f"{reference.shape}"
            )
        if len(outputs) == 0:
            return
        labels = None
        if self._labels is not None:
            labels = self._labels[self._seen : self._seen + len(outputs)]
            if len(labels) != len(outputs):
                raise EvaluationError(
                    f"outputs for more than {len(self._labels)} samples, which is the number of labels"
                )
        for array, whose in ((outputs, "the candidate"), (reference, "the untouched model")):
            if not np.isfinite(array).all():
                raise EvaluationError(f"{whose} gives NaN or infinite outputs")
        if self._task == "causal-lm":
            assert labels is not None
            self._update_tokens(outputs, reference, labels)
        elif self._task == "image-classification":
            self._update_classes(outputs, reference, labels)
        else:
            self._update_values(outputs, reference)
        self._seen += len(outputs)

    def _add(self, name: str, values: NDArray[np.generic]) -> None:
        self._columns.setdefault(name, []).append(values.astype(np.float64))

    def _column(self, name: str) -> NDArray[np.float64]:
        return np.concatenate(self._columns[name])

    def _update_classes(
        self,
        outputs: NDArray[np.floating],
        reference: NDArray[np.floating],
        labels: NDArray[np.int64] | None,
    ) -> None:
        if outputs.ndim != 2:
            raise EvaluationError(f"class logits must have shape (n, classes); got {outputs.shape}")
        top, top_reference = outputs.argmax(1), reference.argmax(1)
        self._add("agree", top == top_reference)
        log_p, log_q = (log_softmax(a.astype(np.float64)) for a in (reference, outputs))
        self._add("kl", kl_rows(log_p, log_q))
        if labels is not None:
            self._add("right", top == labels)
            self._add("right_reference", top_reference == labels)

    def _update_tokens(
        self,
        outputs: NDArray[np.floating],
        reference: NDArray[np.floating],
        labels: NDArray[np.int64],
    ) -> None:
        if outputs.ndim != 3 or outputs.shape[:2] != labels.shape:
            raise EvaluationError(
                f"next-token logits must have shape (n, tokens, vocabulary) with {labels.shape} tokens; "
                f"got {outputs.shape}"
            )
        n, tokens, _ = outputs.shape
        sums = {name: np.zeros(n) for name in ("nll", "nll_reference", "kl", "agree")}
        for row in range(n):
            for start in range(0, tokens - 1, _TOKENS_AT_ONCE):
                stop = min(start + _TOKENS_AT_ONCE, tokens - 1)
                target = labels[row, start + 1 : stop + 1]
                log_q = log_softmax(outputs[row, start:stop].astype(np.float32))
                log_p = log_softmax(reference[row, start:stop].astype(np.float32))
                sums["nll"][row] += nll_rows(log_q, target).sum()
                sums["nll_reference"][row] += nll_rows(log_p, target).sum()
                sums["kl"][row] += kl_rows(log_p, log_q).sum()
                sums["agree"][row] += (log_q.argmax(-1) == log_p.argmax(-1)).sum()
        for name, values in sums.items():
            self._add(name, values)
        self._add("tokens", np.full(n, tokens - 1))

    def _update_values(self, outputs: NDArray[np.floating], reference: NDArray[np.floating]) -> None:
        self._add("cosine", cosine_rows(outputs, reference))
        error = outputs.astype(np.float64) - reference
        self._add("squares", (error**2).reshape(len(outputs), -1).mean(axis=1))
        self._peak_low = min(self._peak_low, float(reference.min()))
        self._peak_high = max(self._peak_high, float(reference.max()))

    def result(self) -> dict[str, Metric]:
        """Return the metrics over all samples so far.

        Raises:
            EvaluationError: no sample was added, or the perplexity is not finite.
        """
        if self._seen == 0:
            raise EvaluationError("quality needs at least one sample")
        if self._task == "causal-lm":
            return self._token_metrics()
        if self._task == "image-classification":
            return self._class_metrics()
        return self._value_metrics()

    def _class_metrics(self) -> dict[str, Metric]:
        agree, n = self._column("agree"), self._seen
        agreement = _proportion(agree)
        metrics = {"agreement": agreement, "kl": _mean("kl", self._column("kl"), low=0.0)}
        if "right" not in self._columns:
            return {**metrics, "drop": _flipped(agreement)}
        right, reference = self._column("right"), self._column("right_reference")
        worse, better = int(((1 - right) * reference).sum()), int((right * (1 - reference)).sum())
        low, high = paired_difference_interval(worse, better, n)
        drop = Metric((worse - better) / n, METRIC_UNITS["drop"], low, high, n)
        return {"accuracy": _proportion(right), **metrics, "drop": drop}

    def _token_metrics(self) -> dict[str, Metric]:
        nll, reference, tokens = (self._column(c) for c in ("nll", "nll_reference", "tokens"))
        perplexity = _exponential("perplexity", nll, tokens, offset=0.0)
        drop = _exponential("drop", nll - reference, tokens, offset=-1.0)
        agree, kl = self._column("agree") / tokens, self._column("kl") / tokens
        return {
            "perplexity": perplexity,
            "kl": _mean("kl", kl, low=0.0),
            "agreement": _mean("agreement", agree, low=0.0, high=1.0),
            "drop": drop,
        }

    def _value_metrics(self) -> dict[str, Metric]:
        cosine = _mean("cosine", self._column("cosine"), low=-1.0, high=1.0)
        metrics = {"cosine": cosine, "drop": _flipped(cosine)}
        if self._task == "generic":
            metrics["psnr_db"] = self._psnr()
        return metrics

    def _psnr(self) -> Metric:
        """Return 10 log10(peak^2 / mean squared error); the peak is the range of the untouched outputs."""
        squares = self._column("squares")
        peak = self._peak_high - self._peak_low
        low, high = mean_interval(squares)
        numbers = [_decibels(peak, error) for error in (high, float(squares.mean()), max(0.0, low))]
        return Metric(numbers[1], METRIC_UNITS["psnr_db"], numbers[0], numbers[2], self._seen)


def _decibels(peak: float, mean_square: float) -> float:
    if mean_square <= 0.0:
        return PSNR_LIMIT_DB
    if peak <= 0.0:
        raise EvaluationError("psnr_db is undefined: the untouched model gives one constant output")
    return float(min(PSNR_LIMIT_DB, 10.0 * np.log10(peak**2 / mean_square)))


def _proportion(successes: NDArray[np.float64]) -> Metric:
    n = len(successes)
    count = int(successes.sum())
    low, high = wilson_interval(count, n)
    return Metric(count / n, "", low, high, n)


def _flipped(metric: Metric) -> Metric:
    return Metric(1.0 - metric.value, METRIC_UNITS["drop"], 1.0 - metric.high, 1.0 - metric.low, metric.n)


def _mean(name: str, values: NDArray[np.float64], low: float = -np.inf, high: float = np.inf) -> Metric:
    value = float(values.mean())
    bottom, top = mean_interval(values)
    return Metric(value, METRIC_UNITS[name], max(low, bottom), min(high, top), len(values))


def _exponential(
    name: str, totals: NDArray[np.float64], weights: NDArray[np.float64], *, offset: float
) -> Metric:
    """Return exp(sum(totals) / sum(weights)) + offset with its bootstrap interval over windows."""
    ratio = float(totals.sum() / weights.sum())
    low, high = bootstrap_interval(totals, weights)
    with np.errstate(over="ignore"):
        value, bottom, top = (float(np.exp(x)) + offset for x in (ratio, min(low, ratio), max(high, ratio)))
    return Metric(value, METRIC_UNITS[name], bottom, top, len(totals))


def score(
    task: str,
    outputs: NDArray[np.floating],
    reference_outputs: NDArray[np.floating],
    labels: NDArray[np.int64] | None = None,
) -> dict[str, Metric]:
    """Return the quality metrics of ``outputs`` beside those of the untouched model, see the module's table.

    Args:
        task: ``image-classification``, ``encoder``, ``causal-lm`` or ``generic``.
        outputs: (n, classes), (n, tokens, vocabulary) or (n, ...).
        reference_outputs: the untouched model's, same shape.
        labels: class numbers (n,), or token numbers (n, tokens) for a causal language model.

    Raises:
        EvaluationError: as :class:`QualityAccumulator`, or the number of labels differs.
    """
    if labels is not None and len(labels) != len(outputs):
        raise EvaluationError(f"{len(outputs)} outputs and {len(labels)} labels; give one label a sample")
    accumulator = QualityAccumulator(task, labels)
    accumulator.update(outputs, reference_outputs)
    return accumulator.result()


@dataclass(frozen=True, eq=False)
class QualityReference:
    """What candidates are scored against.

    Args:
        task: the model's task.
        outputs: the untouched model's outputs for all evaluation samples.
        labels: see :func:`quality_targets`.
    """

    task: str
    outputs: NDArray[np.floating]
    labels: NDArray[np.int64] | None = None

    def score(self, outputs: NDArray[np.floating]) -> dict[str, Metric]:
        """Return the metrics of ``outputs`` for the first ``len(outputs)`` samples.

        Raises:
            EvaluationError: as :func:`score`.
        """
        n = len(outputs)
        return score(self.task, outputs, self.outputs[:n], None if self.labels is None else self.labels[:n])
