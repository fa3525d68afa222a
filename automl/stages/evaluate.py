"""Evaluate: one candidate on the target, in the two lanes the executor keeps apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

from automl.core.candidate import Candidate
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.trial import Fidelity
from automl.evaluators.compute import bops
from automl.evaluators.latency import LatencyMeter
from automl.evaluators.memory import measure_memory
from automl.evaluators.quality import quality_targets
from automl.evaluators.quality import score
from automl.evaluators.size import size_bytes
from automl.evaluators.size import weight_bits
from automl.searchspaces.builders.precision import assignment_of
from automl.stages.code_version import code_version
from automl.stages.prepare import timing_inputs

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from automl.core.samples import Samples
    from automl.evaluators.latency_model import LatencyModel
    from automl.stages.prepare import Workbench
    from automl.transforms.plan import QuantizationPlan

__all__ = ["CandidateEvaluator", "work"]

#: Samples of the evaluation set used at subset fidelity.
SUBSET = 64

#: At subset fidelity the timed runs are divided by this.
SUBSET_DIVISOR = 4

#: What each kind of job measures; memory disturbs no other job and is disturbed by none.
PARTS = {
    "all": ("quality", "latency", "memory"),
    "quality": ("quality", "memory"),
    "latency": ("latency",),
}

#: Samples predicted at a time.
PREDICT_BATCH = 8


@dataclass(eq=False)
class CandidateEvaluator:
    """Turns candidates into measurements on one workbench.

    Args:
        bench: the workbench.
        latency_model: gives the predicted latency shown beside the measured one, or None.
        nominal_ms: latency of the untouched model that drift is divided out against; measured when None.
    """

    bench: Workbench
    latency_model: LatencyModel | None = None
    nominal_ms: float | None = None

    def __post_init__(self) -> None:
        self._reference: tuple[NDArray[np.float32], ...] | None = None
        self._meter: LatencyMeter | None = None
        self._reference_file: Path | None = None

    def plan(self, candidate: Candidate) -> QuantizationPlan:
        """Return the quantization plan of a candidate."""
        precisions, float_type = assignment_of(candidate, self.bench.space)
        return self.bench.quantizer.plan(precisions, float_type)

    def write(self, candidate: Candidate, plan: QuantizationPlan | None = None) -> Path:
        """Write the candidate's deployable graph and return its file; the caller deletes it."""
        folder = self.bench.folder / "work"
        folder.mkdir(parents=True, exist_ok=True)
        bench = self.bench
        deployable = bench.target.deployable(bench.traced, bench.base, plan or self.plan(candidate))
        file = folder / f"{candidate.digest}{deployable.suffix}"
        try:
            file.write_bytes(deployable.content)
        except OSError as error:
            file.unlink(missing_ok=True)  # Half a graph would keep a full disk full.
            raise OSError(error.errno, error.strerror, str(file)) from error
        return file

    @property
    def reference_file(self) -> Path:
        """The untouched model's graph, written once."""
        if self._reference_file is None:
            self._reference_file = self.write(self.bench.space.default)
        return self._reference_file

    @property
    def reference(self) -> tuple[NDArray[np.float32], ...]:
        """Outputs of the untouched model in f32 on the whole evaluation set, each (n_samples, ...)."""
        if self._reference is None:
            self._reference = self.predict(self.reference_file, "f32", self.bench.data.evaluation)
        return self._reference

    def predict(self, file: Path, float_type: str, samples: Samples) -> tuple[NDArray[np.float32], ...]:
        """Return the outputs of a graph on the target for all samples."""
        batch = min(PREDICT_BATCH if self.bench.traced.dynamic_batch else 1, len(samples))
        return self.bench.quality_target.predict(file, samples.inputs, float_type=float_type, batch=batch)

    def counts(self, candidate: Candidate) -> Measurement:
        """Return what needs no run: size, bits, MACs, BOPs, and latency as predicted or estimated."""
        graph = self.bench.traced.graph
        precisions, float_type = assignment_of(candidate, self.bench.space)
        metrics = {
            "size_bytes": Metric(size_bytes(graph, precisions), "B"),
            "weight_bits": Metric(weight_bits(graph, precisions), "bit"),
            "macs": Metric(graph.macs, "MAC"),
            "bops": Metric(bops(graph, precisions, float_type), "BOP"),
        }
        if self.bench.roofline is not None:
            ms = self.bench.roofline.latency_ms(precisions, float_type)
            metrics["estimated_latency_ms"] = Metric(ms, "ms")
        if self.latency_model is not None:
            mean, _ = self.latency_model.predict([precisions], [float_type])
            metrics["predicted_latency_ms"] = Metric(float(mean[0]), "ms")
        return Measurement(metrics)

    def quality(self, candidate: Candidate, file: Path, fidelity: Fidelity) -> Measurement:
        """Return the quality of a written graph against the untouched model.

        Quality is a function of model, data, candidate and target, so a run takes it from the cache when
        another one measured it.
        """
        bench = self.bench
        target = [repr(bench.quality_target.info()), repr(bench.target.rules)]
        key = ["quality", code_version(), *bench.key, *target, candidate.digest, str(fidelity)]
        stored = bench.cache.get(key)
        if isinstance(stored, dict):
            return Measurement.from_json(stored)
        samples, reference = bench.data.evaluation, self.reference
        if fidelity is Fidelity.SUBSET and len(samples) > SUBSET:
            samples = samples.take(slice(0, SUBSET))
            reference = tuple(r[:SUBSET] for r in reference)
        _, float_type = assignment_of(candidate, bench.space)
        measured = self.score(self.predict(file, float_type, samples), reference, samples)
        bench.cache.put(key, measured.to_json())
        return measured

    def score(
        self,
        outputs: tuple[NDArray[np.float32], ...],
        reference: tuple[NDArray[np.float32], ...],
        samples: Samples,
    ) -> Measurement:
        """Return the quality of outputs beside the untouched model's; the first output counts."""
        task = self.bench.model.task
        return Measurement(score(task, outputs[0], reference[0], quality_targets(task, samples)))

    @property
    def meter(self) -> LatencyMeter:
        """The meter that interleaves with the untouched model; its nominal latency is measured once."""
        if self._meter is None:
            inputs = timing_inputs(self.bench)
            reference = (self.reference_file, "f32")
            if self.nominal_ms is None:
                repeats = self.bench.config.spend.confirm_repeats
                self.nominal_ms = self.bench.target.time([reference], inputs, repeats=repeats)[0].median_ms
            self._meter = LatencyMeter(self.bench.target, reference, inputs, reference_ms=self.nominal_ms)
        return self._meter

    def latency(self, candidate: Candidate, file: Path, fidelity: Fidelity) -> Measurement:
        """Return the latency of a written graph, interleaved with the untouched model.

        At subset fidelity a quarter of the runs are timed.
        """
        _, float_type = assignment_of(candidate, self.bench.space)
        repeats = self.bench.config.spend.repeats
        if fidelity is Fidelity.SUBSET:
            repeats = max(1, repeats // SUBSET_DIVISOR)
        return self.meter.measure(file, float_type, repeats=repeats)

    @property
    def limits_memory(self) -> bool:
        """Whether a budget needs the memory, which costs every candidate a few processes."""
        return any(b.metric == "memory_bytes" for b in self.bench.config.budgets)

    def memory(self, candidate: Candidate, file: Path) -> Measurement:
        """Return what serving a written graph holds resident, from the cache when another run measured it."""
        bench = self.bench
        settings = [repr(bench.target.info()), repr(bench.target.rules), bench.config.batch]
        key = ["memory", code_version(), *bench.key, candidate.digest, *settings]
        stored = bench.cache.get(key)
        if isinstance(stored, dict):
            return Measurement.from_json(stored)
        _, float_type = assignment_of(candidate, bench.space)
        measured = measure_memory(bench.target, file, float_type, timing_inputs(bench))
        bench.cache.put(key, measured.to_json())
        return measured

    def discard(self, file: Path) -> None:
        """Delete a written graph, except the untouched model's."""
        if file != self._reference_file:
            file.unlink(missing_ok=True)

    def evaluate(self, candidate: Candidate, fidelity: Fidelity, parts: tuple[str, ...]) -> Measurement:
        """Return the measurement of ``parts``: ``quality``, ``latency``, and ``memory`` when it is limited.

        Raises:
            EvaluationError: the candidate could not be built or run; the text is the reason.
        """
        measured = self.counts(candidate)
        timed = "latency" in parts and self.bench.roofline is None
        served = "memory" in parts and self.limits_memory
        if not (timed or served or "quality" in parts):
            return measured  # An estimate is counted and needs no file.
        file = self.write(candidate)
        try:
            if "quality" in parts:
                measured = measured.merged(self.quality(candidate, file, fidelity))
            if timed:
                measured = measured.merged(self.latency(candidate, file, fidelity))
            if served:
                measured = measured.merged(self.memory(candidate, file))
        finally:
            self.discard(file)
        return measured


def work(evaluator: CandidateEvaluator, payload: dict[str, Any]) -> dict[str, Any]:
    """Evaluate a job's ``candidate`` at ``fidelity``; ``stage`` is one of :data:`PARTS`.

    Returns:
        The measurement as plain JSON.

    Raises:
        EvaluationError: the candidate could not be built or run.
    """
    candidate = Candidate.of(payload["candidate"])
    parts = PARTS[payload["stage"]]
    return evaluator.evaluate(candidate, Fidelity(payload["fidelity"]), parts).to_json()
