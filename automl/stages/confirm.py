"""Confirm: repair finalists, write artifacts, reload them, and measure everything again beside trial 0."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from automl.artifact.load import load_artifact
from automl.artifact.manifest import ArtifactInfo
from automl.artifact.manifest import package_versions
from automl.artifact.save import save_artifact
from automl.core.errors import ArtifactError
from automl.core.errors import AutomlError
from automl.core.errors import EvaluationError
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.evaluators.memory import CONFIRM_PROCESSES
from automl.evaluators.memory import measure_memory
from automl.searchspaces.builders.precision import assignment_of
from automl.stages.answer import Member
from automl.stages.events import Progressed
from automl.stages.finalists import choose_finalists
from automl.stages.prepare import timing_inputs
from automl.stages.problem import uniform_candidates
from automl.stages.repaired import repaired_plan
from automl.stages.simulate import plan_file
from automl.targets.timing import timing_facts
from automl.transforms.materialize import materialize
from automl.transforms.plan_file import save_plan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from automl.core.budget import Budget
    from automl.core.candidate import Candidate
    from automl.core.objective import Objective
    from automl.core.served import ServedSite
    from automl.core.trial import Trial
    from automl.stages.evaluate import CandidateEvaluator
    from automl.stages.events import Listener
    from automl.stages.prepare import Workbench
    from automl.transforms.plan import QuantizationPlan

__all__ = ["Confirmation", "confirm"]

#: Samples on which the deployed model is compared with the simulated one.
PARITY_SAMPLES = 32

#: Of them run together: large activations of eager torch cost page faults.
PARITY_BATCH = 4

#: Metrics whose budgets are judged at the upper end of the interval.
JUDGED_HIGH = ("latency_ms", "memory_bytes")

#: Further rounds of finalists when none of the first meets the hard budgets.
EXTRA_ROUNDS = 2


@dataclass(frozen=True)
class Confirmation:
    """What was confirmed.

    Args:
        trial0: the untouched model in f32, measured in the same sitting.
        defaults: the untouched model in the runtime's other float types.
        members: confirmed finalists, in the order they were chosen.
        budgets: resolved against the confirmed trial 0.
        failed: finalists that could not be confirmed, with the reason.
    """

    trial0: Member
    defaults: tuple[Member, ...]
    members: tuple[Member, ...]
    budgets: tuple[Budget, ...]
    failed: tuple[str, ...]


def member_id(candidate: Candidate) -> str:
    """Return the short name of a candidate."""
    return candidate.digest[:8]


class _Confirmer:
    """Writes, reloads and measures the artifacts of one run."""

    def __init__(self, evaluator: CandidateEvaluator, stamp: str) -> None:
        self.evaluator = evaluator
        self.bench = evaluator.bench
        self.stamp = stamp
        self.plans: dict[str, QuantizationPlan] = {}
        self.served: dict[str, tuple[ServedSite, ...]] = {}

    def folder(self, candidate: Candidate) -> Path:
        """Return where the candidate's artifact lies."""
        return self.bench.folder / "models" / member_id(candidate)

    def file(self, candidate: Candidate) -> Path:
        """Return where the candidate's reloaded graph is written while it is measured, without suffix."""
        return self.bench.folder / "work" / f"confirm-{member_id(candidate)}"

    def discard(self, candidate: Candidate) -> None:
        """Delete what was written of the candidate's reloaded graph."""
        place = self.file(candidate)
        for found in place.parent.glob(f"{place.name}.*"):
            found.unlink()

    def build(self, candidate: Candidate, *, repair: bool) -> Path:
        """Write the candidate's artifact, reload it, and return the file of the reloaded graph."""
        plan = repaired_plan(self.evaluator, candidate) if repair else self.evaluator.plan(candidate)
        self.plans[candidate.digest] = plan
        self.save(candidate, self.evaluator.counts(candidate), {})
        artifact = load_artifact(self.folder(candidate))
        return artifact.write(self.file(candidate))

    def save(
        self,
        candidate: Candidate,
        measurement: Measurement,
        budgets: Mapping[str, bool],
        baseline: Measurement | None = None,
    ) -> None:
        """Write the candidate's artifact folder."""
        plan = self.plans[candidate.digest]
        target = self.bench.target.info()
        deployable = self.bench.target.deployable(self.bench.traced, self.bench.base, plan)
        self.served[candidate.digest] = deployable.served
        info = ArtifactInfo(
            name=self.bench.model.name,
            candidate=candidate,
            precisions=dict(plan.precisions),
            float_type=plan.float_type,
            target=target.name,
            runtime=target.runtime,
            threads=target.threads,
            measurement=measurement,
            baseline=baseline,
            budgets=budgets,
            config=self.bench.config.shown(),
            versions=package_versions(),
            machine=dict(target.machine),
            created=self.stamp,
            served=deployable.served,
            notes=(*estimate_notes(self.bench), *_notes(plan)),
        )
        file = plan_file(self.bench.folder, member_id(candidate))
        file.parent.mkdir(parents=True, exist_ok=True)
        save_plan(file, plan)
        save_artifact(
            self.folder(candidate), deployable.model, info, packed=deployable.packed, overwrite=True
        )

    def parity(self, candidate: Candidate, outputs: Sequence[NDArray[np.float32]]) -> dict[str, float]:
        """Return agreement and mean relative error of deployed against simulated outputs on a few samples."""
        samples = self.bench.data.evaluation.take(slice(0, PARITY_SAMPLES))
        plan = replace(self.plans[candidate.digest], float_type="f32")
        model = materialize(self.bench.traced, plan)
        rows = []
        step = PARITY_BATCH if self.bench.traced.dynamic_batch else 1
        with torch.inference_mode():
            for batch in samples.batches(step):
                out = model(*(torch.from_numpy(np.ascontiguousarray(a)) for a in batch))
                rows.append((out[0] if isinstance(out, (tuple, list)) else out).numpy())
        simulated, deployed = np.concatenate(rows), outputs[0][: len(samples)]
        relative = np.linalg.norm(deployed - simulated) / max(float(np.linalg.norm(simulated)), 1e-12)
        facts = {"parity_relative_error": float(relative)}
        if simulated.ndim >= 2:
            same = deployed.argmax(axis=-1) == simulated.argmax(axis=-1)
            facts["parity_agreement"] = float(same.mean())
        return facts


def estimate_notes(bench: Workbench) -> tuple[str, ...]:
    """Return the sentence that marks an estimated latency, nothing when it was measured."""
    if bench.roofline is None:
        return ()
    device = bench.roofline.device
    return (
        f"the latency is estimated, not measured: the least time a roofline of {device.title} allows; "
        "kernels reach a part of it, so measure on the device before anything is promised",
    )


def _notes(plan: QuantizationPlan) -> tuple[str, ...]:
    low = [s for s, w in plan.weights.items() if w.packed]
    if not low:
        return ()
    return (
        f"{len(low)} layers store weights in fewer than 8 bits and are unpacked to 8 bits when loaded: "
        "that saves bytes on disk and buys no speed.",
    )


def conservative(measurement: Measurement) -> Measurement:
    """Return the measurement with latency and memory at the upper end of their intervals, for budgets."""
    found = {name: measurement[name] for name in JUDGED_HIGH if name in measurement}
    high = {name: Metric(m.high, m.unit, n=m.n) for name, m in found.items()}
    return Measurement({**measurement.metrics, **high}, measurement.facts)


class _Sitting:
    """One interleaved measurement of finalists, the untouched model and the runtime's own float types."""

    def __init__(
        self,
        confirmer: _Confirmer,
        chosen: Sequence[Candidate],
        repeats: int,
        number: int,
        listener: Listener,
    ) -> None:
        self._confirmer = confirmer
        self._bench = confirmer.bench
        self._chosen = chosen
        self._repeats = repeats
        self._stage = "confirm" if number == 0 else f"confirm, round {number + 1}"
        self._listener = listener
        self._memories: dict[str, Measurement] = {}
        self.failed: list[str] = []

    def run(
        self, budgets: Sequence[Budget]
    ) -> tuple[Member, tuple[Member, ...], list[Member], tuple[Budget, ...]]:
        """Return trial 0, the default float types, the finalists, and the budgets as resolved here."""
        untouched = self._bench.space.default
        floats = [t for t in self._bench.legality.float_types if t != "f32"]
        total = len(self._chosen) + 1
        rows: list[tuple[Candidate, Path, str]] = []
        for index, candidate in enumerate((untouched, *self._chosen)):
            self._listener(Progressed(self._stage, index, total, f"build {member_id(candidate)}"))
            try:
                file = self._confirmer.build(candidate, repair=0 < index <= self._bench.config.spend.repairs)
                _, float_type = assignment_of(candidate, self._bench.space)
                self._read_memory(candidate, file, float_type)
            except AutomlError as error:
                # Without the untouched model there is nothing to compare with, and what cannot be written
                # now cannot be for the next one either.
                if index == 0 or isinstance(error, ArtifactError):
                    raise
                self._confirmer.discard(candidate)
                self.failed.append(f"{member_id(candidate)}: {error}")
                continue
            rows.append((candidate, file, float_type))
        base = rows[0]
        extra = [(self._bench.space.uniform("float", t), base[1], t) for t in floats]
        extra = [row for row in extra if self._computes(*row)]
        everyone = [base, *extra, *rows[1:]]
        self._bench.target.close()
        self._listener(Progressed(self._stage, total, total, "measure in a fresh process"))
        measured = self._measure(everyone)
        for _, file, _ in rows:
            file.unlink(missing_ok=True)
        resolved = tuple(b.resolve(measured[0]) for b in budgets)
        members = [
            self._member(candidate, m, resolved, measured[0], index == 0 or index > len(extra))
            for index, ((candidate, _, _), m) in enumerate(zip(everyone, measured, strict=True))
        ]
        return members[0], tuple(members[1 : 1 + len(extra)]), members[1 + len(extra) :], resolved

    def _read_memory(self, candidate: Candidate, file: Path, float_type: str) -> None:
        """Measure and keep the memory of a reloaded graph when it is limited."""
        if self._confirmer.evaluator.limits_memory:
            self._memories[candidate.digest] = measure_memory(
                self._bench.target,
                file,
                float_type,
                timing_inputs(self._bench),
                processes=CONFIRM_PROCESSES,
            )

    def _computes(self, candidate: Candidate, file: Path, float_type: str) -> bool:
        """Return whether the untouched model gives finite outputs in a float type; note it when not."""
        sample = self._bench.data.evaluation.take(slice(0, 1))
        try:
            self._confirmer.evaluator.predict(file, float_type, sample)
            self._read_memory(candidate, file, float_type)
        except EvaluationError as error:
            self.failed.append(f"the untouched model in {float_type}: {error}")
            return False
        return True

    def _latencies(self, rows: Sequence[tuple[Candidate, Path, str]]) -> list[Measurement]:
        """Return the measured latencies, interleaved; nothing in a run that estimates them."""
        if self._bench.roofline is not None:
            return [Measurement({}) for _ in rows]
        timings = self._bench.target.time(
            [(file, float_type) for _, file, float_type in rows],
            timing_inputs(self._bench),
            repeats=self._repeats,
        )
        return [
            Measurement(
                {
                    "latency_ms": Metric(t.median_ms, "ms", t.low_ms, t.high_ms, t.repeats),
                    "latency_p95_ms": Metric(t.p95_ms, "ms", n=t.repeats),
                },
                timing_facts(t),
            )
            for t in timings
        ]

    def _measure(self, rows: Sequence[tuple[Candidate, Path, str]]) -> list[Measurement]:
        bench, evaluator = self._bench, self._confirmer.evaluator
        samples = bench.data.evaluation
        latencies = self._latencies(rows)
        reference: tuple[NDArray[np.float32], ...] | None = None
        measurements = []
        for (candidate, file, float_type), latency in zip(rows, latencies, strict=True):
            outputs = evaluator.predict(file, float_type, samples)
            reference = reference or outputs
            quality = evaluator.score(outputs, reference, samples)
            whole = evaluator.counts(candidate).merged(quality).merged(latency)
            whole = whole.merged(self._memories.get(candidate.digest, Measurement({})))
            folder = self._confirmer.folder(candidate)
            if folder.exists():
                size = Metric(load_artifact(folder).size_bytes, "B")
                facts = self._confirmer.parity(candidate, outputs)
                whole = whole.merged(Measurement({"artifact_bytes": size}, facts))
            measurements.append(whole)
        return measurements

    def _member(
        self,
        candidate: Candidate,
        measurement: Measurement,
        budgets: Sequence[Budget],
        baseline: Measurement,
        has_artifact: bool,
    ) -> Member:
        judged = conservative(measurement)
        held = {b.text: b.holds(judged) for b in budgets}
        if has_artifact:
            self._confirmer.save(candidate, measurement, held, baseline)
        folder = f"models/{member_id(candidate)}" if has_artifact else ""
        served = self._confirmer.served.get(candidate.digest, ())
        return Member(member_id(candidate), candidate, measurement, held, folder, served)


def confirm(
    evaluator: CandidateEvaluator,
    trials: Sequence[Trial],
    objectives: Sequence[Objective],
    budgets: Sequence[Budget],
    listener: Listener,
    *,
    stamp: str,
) -> Confirmation:
    """Confirm finalists until one meets the hard budgets or the rounds are spent.

    Args:
        evaluator: gives the workbench.
        trials: the search's measured trials, trial 0 included.
        objectives: axes of the front, quality first.
        budgets: as the user gave them, relative ones unresolved.
        listener: told about each finalist.
        stamp: ISO 8601 time for the artifacts.
    """
    spend = evaluator.bench.config.spend
    confirmer = _Confirmer(evaluator, stamp)
    reference = next(t.measurement for t in trials if t.number == 0 and t.measurement is not None)
    wanted = [b.resolve(reference) for b in budgets]
    rounds: list[tuple[Member, tuple[Member, ...], list[Member], tuple[Budget, ...]]] = []
    failed: list[str] = []
    seen: frozenset[str] = frozenset({evaluator.bench.space.default.digest})
    anchors = frozenset(c.digest for _, c in uniform_candidates(evaluator.bench.space))
    for number in range(1 + EXTRA_ROUNDS):
        chosen = choose_finalists(trials, objectives, wanted, spend.confirm, seen, anchors)
        # A search that measured the untouched model alone still ends with its confirmed numbers.
        if number and not chosen:
            break
        seen |= {c.digest for c in chosen}
        sitting = _Sitting(confirmer, chosen, spend.confirm_repeats, number, listener)
        rounds.append(sitting.run(budgets))
        failed.extend(sitting.failed)
        _, _, found, resolved = rounds[-1]
        if any(m.feasible or not _broken_hard(m, resolved) for m in found):
            break
        wanted = [replace(b, limit=b.limit * 0.97) if b.metric in JUDGED_HIGH else b for b in wanted]
    trial0, defaults, _, resolved = rounds[-1]
    members = tuple(member for row in rounds for member in row[2])
    return Confirmation(trial0, defaults, members, resolved, tuple(failed))


def _broken_hard(member: Member, budgets: Sequence[Budget]) -> bool:
    return any(b.hard and not member.budgets[b.text] for b in budgets)
