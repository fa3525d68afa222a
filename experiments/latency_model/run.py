"""Held-out error of the latency model on OpenVINO, beside the plain sum and the timing's own repeat error.

For each model: measure designed candidates, fit; measure random mixes that took no part, twice at different
times; compare. Writes ``results.json`` and the table in ``README.md``::

    python experiments/latency_model/run.py --models tf_efficientnet_lite0,resnet50 --fit 150 --test 45
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import sys
import tempfile
import time
from dataclasses import asdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import timm
import torch

from automl.core.rng import child_rng
from automl.core.samples import Samples
from automl.evaluators.latency import LatencyMeter
from automl.evaluators.latency_design import design_candidates
from automl.evaluators.latency_math import kendall_tau
from automl.evaluators.latency_math import mape
from automl.evaluators.latency_model import LatencyModel
from automl.evaluators.latency_model import LatencyObservation
from automl.evaluators.latency_plain import PlainSum
from automl.searchspaces.builders.precision import assignment_of
from automl.searchspaces.builders.precision import precision_space
from automl.searchspaces.trace import trace_model
from automl.targets.onnx_export import export_onnx
from automl.targets.openvino_target import OpenVinoTarget
from automl.targets.qdq import apply_plan
from automl.transforms.calibrate import calibrate
from automl.transforms.quantize import Quantizer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from automl.core.candidate import Candidate
    from automl.searchspaces.space import SearchSpace

HERE = Path(__file__).parent
SEED = 0


class Bench:
    """One model on the target, ready to measure candidates.

    Args:
        name: timm model, random weights.
        folder: scratch folder.
        threads: inference threads, all cores when None.
        repeats: timed runs per measurement.
        lock: advisory lock held while timing, so that jobs on one machine take turns.
    """

    def __init__(self, name: str, folder: Path, threads: int | None, repeats: int, lock: Path | None) -> None:
        torch.manual_seed(SEED)
        torch.set_num_threads(1)
        shape = (3, 224, 224)
        module = timm.create_model(name, pretrained=False).eval()
        self.traced = trace_model(module, (torch.randn(2, *shape),))
        self.target = OpenVinoTarget(threads=threads)
        legality = self.target.legality(self.traced.graph)
        options = {s: tuple(o for o in ("fp", "w8a8") if o in names) for s, names in legality.options.items()}
        self.space = precision_space(self.traced.graph, replace(legality, options=options))
        self.base = export_onnx(self.traced)
        images = child_rng(SEED, "images").standard_normal((8, *shape)).astype(np.float32)
        calibration = calibrate(self.traced, Samples((images,)), seed=SEED)
        self.quantizer = Quantizer(self.traced, calibration, self.target.rules)
        self.folder, self.repeats, self.lock = folder, repeats, lock
        reference = self._write(self.space.default)
        self.meter = LatencyMeter(self.target, (reference, "f32"), [images[:1]])

    def _write(self, candidate: Candidate) -> Path:
        file = self.folder / f"{candidate.digest}.onnx"
        plan = self.quantizer.plan(*assignment_of(candidate, self.space))
        file.write_bytes(apply_plan(self.base, plan, "openvino").SerializeToString())
        return file

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        if self.lock is None:
            yield
            return
        with self.lock.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def observe(self, candidate: Candidate) -> LatencyObservation:
        """Return the measured latency and profile of a candidate."""
        precisions, float_type = assignment_of(candidate, self.space)
        file = self._write(candidate)
        try:
            with self._turn():
                return self.meter.observe(file, float_type, precisions, repeats=self.repeats)
        finally:
            if candidate != self.space.default:
                file.unlink()


def random_mixes(space: SearchSpace, count: int, taken: set[Candidate]) -> list[tuple[str, Candidate]]:
    """Return (kind, candidate): a third each of i.i.d. at rate 0.5, i.i.d. at other rates, and runs."""
    rng = child_rng(SEED, "test mixes")
    out: list[tuple[str, Candidate]] = []
    while len(out) < count:
        kind = ("iid 0.5", "iid other", "runs")[len(out) % 3]
        code = space.default_code.copy()
        columns = [i for i, d in enumerate(space.dimensions) if d.kind == "precision" and len(d.options) > 1]
        if kind == "runs":
            flips: NDArray[np.bool_] = np.zeros(len(columns), dtype=bool)
            start = 0
            while start < len(columns):
                stop = start + int(rng.geometric(1 / rng.choice([3, 6, 12])))
                flips[start:stop] = rng.random() < 0.5
                start = stop
        else:
            rate = 0.5 if kind == "iid 0.5" else rng.choice([0.1, 0.25, 0.75, 0.9])
            flips = np.asarray(rng.random(len(columns)) < rate)
        code[columns] = flips
        for i, dimension in enumerate(space.dimensions):
            if dimension.kind == "float":
                code[i] = rng.integers(len(dimension.options))
        candidate = space.decode(code)
        if candidate not in taken:
            taken.add(candidate)
            out.append((kind, candidate))
    return out


def additive_regression(
    space: SearchSpace, fit: list[Candidate], fit_ms: NDArray[np.float64], test: list[Candidate]
) -> NDArray[np.float64]:
    """Return predictions of a ridge regression of totals on one term per (site, float type)."""

    def design(candidates: list[Candidate]) -> NDArray[np.float64]:
        codes = space.encode(candidates).astype(np.float64)
        floats = next(i for i, d in enumerate(space.dimensions) if d.kind == "float")
        return np.concatenate([np.ones((len(codes), 1)), codes, codes * codes[:, [floats]]], axis=1)

    x = design(fit)
    weights = np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ fit_ms)
    return design(test) @ weights


def score(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> dict[str, float]:
    """Return MAPE in percent and Kendall's tau."""
    return {
        "mape_percent": round(100 * mape(predicted, measured), 2),
        "kendall_tau": round(kendall_tau(predicted, measured), 3),
    }


def study(name: str, arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure, fit and compare for one model."""
    lock = Path(arguments.lock) if arguments.lock else None
    bench = Bench(name, folder, arguments.threads, arguments.repeats, lock)
    graph, space = bench.traced.graph, bench.space
    designed = design_candidates(space, graph, arguments.fit, SEED)
    tests = random_mixes(space, arguments.test, set(designed))
    started = time.monotonic()
    bench.observe(space.default)

    log = Path(arguments.raw or folder) / f"{name}.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)

    def measure(candidates: list[Candidate], label: str) -> list[LatencyObservation]:
        out = []
        for index, candidate in enumerate(candidates):
            out.append(bench.observe(candidate))
            with log.open("a") as stream:
                stream.write(json.dumps({"label": label, **out[-1].to_json()}) + "\n")
            if index % 10 == 9:
                sys.stderr.write(f"{name} {label} {index + 1} {time.monotonic() - started:.0f} s\n")
        return out

    half = len(designed) // 2
    mixes = [c for _, c in tests]
    fit = measure(designed[:half], "fit")
    first = measure(mixes, "test")
    fit += measure(designed[half:], "fit")
    second = measure(mixes, "test again")
    seconds = time.monotonic() - started
    model = LatencyModel.fit(graph, fit, SEED)
    a = np.array([o.timing_ms for o in first])
    b = np.array([o.timing_ms for o in second])
    truth = (a + b) / 2
    precisions = [o.precisions for o in first]
    floats = [o.float_type for o in first]
    mean, deviation = model.predict(precisions, floats)
    plain = PlainSum.from_profiles(graph, fit).predict(precisions, floats)
    totals = np.array([o.timing_ms for o in fit])
    additive = additive_regression(space, designed, totals, mixes)
    uniform = {
        f"{o.float_type} {'w8a8' if 'w8a8' in o.precisions.values() else 'fp'}": round(o.timing_ms, 3)
        for o in fit
        if len(set(o.precisions.values())) == 1
    }
    kinds = {
        kind: score(mean[[k == kind for k, _ in tests]], truth[[k == kind for k, _ in tests]])
        for kind in dict.fromkeys(k for k, _ in tests)
    }
    by_float = {
        f: score(mean[np.array(floats) == f], truth[np.array(floats) == f]) for f in model.float_types
    }
    return {
        "model": name,
        "sites": len(graph.sites),
        "fit_measurements": len(fit),
        "test_candidates": len(tests),
        "uniform_ms": uniform,
        "test_range_ms": [round(float(truth.min()), 3), round(float(truth.max()), 3)],
        "latency_model": score(mean, truth),
        "cross_validation": asdict(model.held_out),
        "plain_sum": score(plain, truth),
        "additive_regression": score(additive, truth),
        "repeat": score(b, a),
        "by_kind": kinds,
        "by_float": by_float,
        "within_two_deviations": round(float(np.mean(np.abs(mean - truth) <= 2 * deviation)), 3),
        "seconds": round(seconds),
        "machine": dict(bench.target.info().machine),
        "points": [
            {"kind": k, "float": f, "measured_ms": [round(float(x), 4), round(float(y), 4)]}
            | {"predicted_ms": round(float(m), 4), "plain_ms": round(float(p), 4)}
            for (k, _), f, x, y, m, p in zip(tests, floats, a, b, mean, plain, strict=True)
        ],
    }


def table(results: dict[str, Any]) -> str:
    """Return the Markdown table of all models: one row per predictor, MAPE in percent and Kendall's tau."""
    lines = [
        "| model | measured to fit | held-out mixes | predictor | MAPE % | Kendall tau |",
        "|---|---|---|---|---|---|",
    ]
    rows = (
        ("latency_model", "**latency model**"),
        ("plain_sum", "plain per-layer sum"),
        ("additive_regression", "one term per site, fitted to totals"),
        ("repeat", "the same mixes measured again"),
    )
    for name, result in results.items():
        for key, label in rows:
            cell = result[key]
            lines.append(
                f"| {name} | {result['fit_measurements']} | {result['test_candidates']} | {label} "
                f"| {cell['mape_percent']:.1f} | {cell['kendall_tau']:.3f} |"
            )
    return "\n".join(lines)


def write_table(results: dict[str, Any], readme: Path) -> None:
    """Replace what stands between the two table marks of ``readme``."""
    before, _, rest = readme.read_text().partition("<!-- table -->")
    after = rest.partition("<!-- end -->")[2]
    readme.write_text(f"{before}<!-- table -->\n{table(results)}\n<!-- end -->{after}")


def main() -> None:
    """Run the study for every model named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="tf_efficientnet_lite0,resnet50")
    parser.add_argument("--fit", type=int, default=150)
    parser.add_argument("--test", type=int, default=45)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--lock", default="", help="file locked while timing")
    parser.add_argument("--raw", default="", help="folder for all observations, one JSON line each")
    parser.add_argument("--out", default=str(HERE / "results.json"))
    arguments = parser.parse_args()
    out = Path(arguments.out)
    for name in arguments.models.split(","):
        with tempfile.TemporaryDirectory() as folder:
            result = study(name, arguments, Path(folder))
        known = json.loads(out.read_text()) if out.is_file() else {}
        known[name] = result
        out.write_text(json.dumps(known, indent=1) + "\n")
        if out.parent == HERE:
            write_table(known, HERE / "README.md")
        summary = {k: result[k] for k in ("latency_model", "plain_sum", "additive_regression", "repeat")}
        sys.stderr.write(f"{name} {json.dumps(summary)}\n")


if __name__ == "__main__":
    main()
