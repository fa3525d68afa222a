"""Measure candidates of a model through the product's own evaluator and keep them as a table.

    python experiments/interactions/record.py --shared DIR --model resnet56 --count 2000
    python experiments/interactions/record.py --shared DIR --model lite0 --count 2000

Opens the model as a search with one thread on OpenVINO does, prices its options, and evaluates candidates
at subset fidelity: 64 samples, and 16 timed runs interleaved with trial 0. Rows are appended to
``MODEL.csv`` beside this file as they are measured; started again it goes on. Every 250 rows four earlier
candidates are measured twice more, for the error of repetition, into ``MODEL_again.csv``.

The machine does other work during the hours this takes, so candidates are timed by the processor's time (see
``processor_time.py``). What needs a quiet machine is short and apart: ``--prices`` stops when the prices are
measured, by the wall clock; ``--check N`` measures N recorded candidates by both clocks into
``MODEL_clock.csv``. ``--anew N`` replaces the first N rows, for when the evaluator has changed since.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(pool, "1")

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "export_quality"), str(HERE.parent / "low_bit_product")]

import torch  # noqa: E402
from plan import Plan  # noqa: E402
from processor_time import ProcessorTimed  # noqa: E402
from recorded_table import METRICS  # noqa: E402
from recorded_table import OBJECTIVES  # noqa: E402
from recorded_table import Row  # noqa: E402
from recorded_table import append_row  # noqa: E402
from recorded_table import codes_of  # noqa: E402
from recorded_table import digits  # noqa: E402
from recorded_table import read_rows  # noqa: E402
from recorded_table import write_head  # noqa: E402
from side_by_side import load_loaders  # noqa: E402
from side_by_side import provenance  # noqa: E402
from side_by_side import save_images  # noqa: E402
from side_by_side import talk  # noqa: E402

from automl.config import make_config  # noqa: E402
from automl.core.errors import EvaluationError  # noqa: E402
from automl.core.trial import Fidelity  # noqa: E402
from automl.stages.evaluate import SUBSET  # noqa: E402
from automl.stages.evaluate import CandidateEvaluator  # noqa: E402
from automl.stages.prepare import prepare  # noqa: E402
from automl.stages.price import price  # noqa: E402
from automl.stages.problem import build_problem  # noqa: E402
from automl.stages.problem import objectives_of  # noqa: E402
from automl.stages.problem import uniform_candidates  # noqa: E402
from automl.strategies.base import AdditiveTables  # noqa: E402

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np

    from automl.stages.prepare import Workbench
    from automl.stages.price import Prices
    from automl.strategies.base import Problem

CALIBRATION = 128
AGAIN_EVERY, AGAIN = 250, 4
MODELS = ("resnet56", "lite0")


def settings_of(name: str, loaders: ModuleType, folder: Path) -> dict[str, Any]:
    """Return the settings of a search on a model's labelled images."""
    if name == "resnet56":
        given, _ = loaders.cifar10("train_jpeg", CALIBRATION)
        images, labels = loaders.cifar10("test_jpeg", SUBSET)
        calibration = {"calibration_data": save_images(folder / "calibration.npz", given)}
        model = "resnet56_cifar:build"
    else:
        images, labels = loaders.imagenet_sample(CALIBRATION + SUBSET)
        calibration, model = {}, "efficientnet_lite0"
    return {
        "model": model,
        "data": save_images(folder / "evaluation.npz", images, labels),
        **calibration,
        "calibration": CALIBRATION,
        "evaluation": SUBSET,
        "threads": 1,
        "cache": folder / "cache",
    }


def problem_of(bench: Workbench, prices: Prices) -> Problem:
    """Return the problem of a search, its quality called by the divergence that is recorded."""
    objectives = objectives_of(bench)
    problem = build_problem(bench, prices, objectives, (), 0)
    tables = problem.tables
    if tables is None:
        raise SystemExit("no latency model could be fitted, so there are no prices to record")
    named = {"kl": tables.unary[objectives[0].metric], **tables.unary}
    priced = AdditiveTables(named, tables.pairwise, tables.constant)
    return replace(problem, objectives=OBJECTIVES, tables=priced, relaxed=None)


class Recorder:
    """Measures and appends.

    Args:
        evaluator: of the model.
        file: the table.
    """

    def __init__(self, evaluator: CandidateEvaluator, file: Path) -> None:
        self._evaluator = evaluator
        self._file = file

    def measure(self, kind: str, code: np.ndarray, file: Path | None = None) -> Row | None:
        """Return the appended row; None, and a line on standard error, where the model fails."""
        space = self._evaluator.bench.space
        try:
            found = self._evaluator.evaluate(space.decode(code), Fidelity.SUBSET, ("quality", "latency"))
        except EvaluationError as error:
            sys.stderr.write(f"{kind} {digits(code)}: {error}\n")
            return None
        kl, agreement, accuracy = (found[m].value for m in ("kl", "agreement", "accuracy"))
        latency, drift = found["latency_ms"], float(found.facts["latency_drift"])
        low, high = latency.low or latency.value, latency.high or latency.value
        row = Row(kind, digits(code), kl, agreement, accuracy, latency.value, low, high, drift)
        append_row(file or self._file, row)
        return row

    def anew(self, count: int) -> None:
        """Measure the first rows again and put what is found in their place, all at once at the end."""
        rows = read_rows(self._file)
        fresh = self._file.with_suffix(".fresh")
        fresh.unlink(missing_ok=True)
        for row in rows[:count]:
            self.measure(row.kind, codes_of([row.code])[0], fresh)
        for row in rows[count:]:
            append_row(fresh, row)
        fresh.replace(self._file)

    def again(self, count: int) -> None:
        """Measure some of the earlier rows twice more; those of this count are measured once only."""
        other = self._file.with_name(f"{self._file.stem}_again.csv")
        rows = read_rows(self._file)[:count]
        due = count // AGAIN_EVERY * AGAIN * 2 - len(read_rows(other))
        picked = [rows[(i + 1) * (count // (AGAIN + 1))] for i in range(AGAIN)]
        for row in (picked * 2)[: max(due, 0)]:
            self.measure("again", codes_of([row.code])[0], other)


def check_clocks(evaluator: CandidateEvaluator, timed: CandidateEvaluator, file: Path, count: int) -> None:
    """Measure recorded candidates by the wall and by the processor's time, one right after the other."""
    rows = read_rows(file)
    other = file.with_name(f"{file.stem}_clock.csv")
    for row in rows[:: max(len(rows) // count, 1)][:count]:
        code = codes_of([row.code])[0]
        Recorder(evaluator, file).measure("wall", code, other)
        Recorder(timed, file).measure("processor", code, other)


def record(name: str, options: argparse.Namespace) -> None:
    """Open the model, price it once, and measure until the table has its rows."""
    folder = options.folder / name
    folder.mkdir(parents=True, exist_ok=True)
    settings = settings_of(name, load_loaders(options.shared), folder)
    bench = prepare(make_config(settings), folder, folder / "cache", talk)
    kept = folder / "nominal_ms.json"
    # the processor's time of the untouched model is its latency on a quiet machine, whoever else runs now
    nominal = json.loads(kept.read_text()) if kept.exists() else None
    target = ProcessorTimed()
    timed = CandidateEvaluator(replace(bench, target=target, quality_target=target), nominal_ms=nominal)
    nominal = timed.meter.nominal_ms
    kept.write_text(json.dumps(nominal))
    evaluator = CandidateEvaluator(bench, nominal_ms=nominal)
    problem = problem_of(bench, price(evaluator, talk))
    uniform = bench.space.encode([c for _, c in uniform_candidates(bench.space)])
    file = options.out / f"{name}.csv"
    if not file.with_suffix(".json").exists():
        facts = {"model": settings["model"], "nominal_ms": nominal, "samples": SUBSET}
        facts["uniform"] = [digits(code) for code in uniform]
        machine = provenance(bench.target, argparse.Namespace(model=name, count=options.count))
        write_head(file.with_suffix(".json"), problem, {**facts, **machine})
    if options.anew:
        Recorder(timed, file).anew(options.anew)
    elif options.check:
        check_clocks(evaluator, timed, file, options.check)
    elif not options.prices:
        extend(name, Recorder(timed, file), Plan(problem, uniform, read_rows(file)), uniform, options.count)
    bench.target.close()
    target.close()


def extend(name: str, recorder: Recorder, plan: Plan, uniform: np.ndarray, count: int) -> None:
    """Measure what the plan proposes until there are ``count`` rows, the uniform candidates first."""
    start, begun = time.monotonic(), 0
    if not plan.known:
        for code in uniform:
            row = recorder.measure("uniform", code)
            if row is not None:
                plan.note(row)
    while len(plan.known) < count:
        for kind, code in plan.batch():
            row = recorder.measure(kind, code)
            if row is None:
                continue
            plan.note(row)
            begun += 1
            if len(plan.known) % AGAIN_EVERY == 0:
                recorder.again(len(plan.known))
            if begun % 40 == 0:
                spent = (time.monotonic() - start) / begun
                values = ", ".join(f"{getattr(row, m):.4g}" for m in METRICS)
                sys.stderr.write(f"{name} {len(plan.known)} rows, {spent:.2f} s each; {values}\n")


def main() -> None:
    """Record one model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, required=True, help="folder of loaders.py and its data")
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--folder", type=Path, required=True, help="keeps tables and intermediate files")
    parser.add_argument("--prices", action="store_true", help="measure the prices and stop")
    parser.add_argument("--check", type=int, default=0, help="measure this many rows by both clocks and stop")
    parser.add_argument("--anew", type=int, default=0, help="measure the first rows again and stop")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the table")
    options = parser.parse_args()
    os.environ["LOW_BIT_SHARED"] = str(options.shared.resolve())
    torch.set_num_threads(1)
    record(options.model, options)


if __name__ == "__main__":
    main()
