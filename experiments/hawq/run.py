"""HAWQ-V3's 18 bit-allocation problems: exact, frontier program and evolution against the published answers.

Run: ``python experiments/hawq/run.py [--seeds 5] [--evaluations 20000]``; writes results.json beside it.
The data (``hawq_v3_ilp.json``) is found through AUTOML_SHARED_DATA or ``../shared/data`` beside the
checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from automl.strategies.base import AdditiveTables
from automl.strategies.table import make_strategy
from automl.testing.problems import SyntheticProblem
from automl.testing.problems import integer_space
from automl.testing.problems import table_problem

HERE = Path(__file__).resolve().parent
FRACTIONS = (0.25, 0.5, 0.75)


@dataclass(frozen=True, eq=False)
class Instance:
    """One of the 18 problems.

    Args:
        name: model, cost and fraction.
        unary: for ``kl`` and ``size_bytes`` one pair of prices a tied group: (at 8 bit, at 4 bit).
        limit: of the cost.
        published: objective of the published assignment, as the notebook counts it.
        offset: added to the problem's value to get the notebook's objective.
    """

    name: str
    unary: dict[str, tuple[np.ndarray, ...]]
    limit: float
    published: float
    offset: float

    def problem(self, seed: int, *, give_tables: bool) -> SyntheticProblem:
        tables = AdditiveTables(self.unary)
        space = integer_space([2] * len(self.unary["kl"]))
        return table_problem(space, tables, limit=self.limit, seed=seed, give_tables=give_tables)


def data_file() -> Path | None:
    """Return the data file, or None when it is not there."""
    folders = [os.environ.get("AUTOML_SHARED_DATA"), HERE.parents[2] / "shared" / "data"]
    found = [Path(f) / "hawq_v3_ilp.json" for f in folders if f]
    return next((f for f in found if f.is_file()), None)


def instances(data: dict[str, Any]) -> list[Instance]:
    """Return the 18 problems; pairs that must share a bit width are one dimension."""
    found = []
    for model in ("resnet18", "resnet50"):
        row = {k: np.array(v) for k, v in data[model].items() if isinstance(v, list) and k != "eq_pairs"}
        gain = row["Hutchinson_trace"] * (row["delta_weights_8bit_square"] - row["delta_weights_4bit_square"])
        costs = {
            "modelsize": (row["parameters"] * 0.5, row["parameters"] * 1.0),
            "bops": (row["bops"] / 64, row["bops"] / 16),
            "latency": (row["latency_int4"], row["latency_int8"]),
        }
        tied = {second: first for first, second in data[model]["eq_pairs"]}
        groups = [[i, *(s for s, f in tied.items() if f == i)] for i in range(len(gain)) if i not in tied]
        for cost, (at4, at8) in costs.items():
            for fraction in FRACTIONS:
                is8 = np.array(data[model]["published_is8"][f"{cost}_{fraction}"], dtype=bool)
                # the notebook maximizes what 8 bits gain over 4; as a loss that is 0 at 8 bits and -gain at 4
                unary = {
                    "kl": tuple(np.array([0.0, -gain[g].sum()]) for g in groups),
                    "size_bytes": tuple(np.array([at8[g].sum(), at4[g].sum()]) for g in groups),
                }
                limit = float(at4.sum() + (at8.sum() - at4.sum()) * fraction)
                found.append(
                    Instance(
                        f"{model}/{cost}/{fraction}", unary, limit, float(gain[is8].sum()), float(gain.sum())
                    )
                )
    return found


def solve_exact(instance: Instance) -> float:
    """Return the notebook's objective of the first candidate ``exact`` proposes."""
    problem = instance.problem(0, give_tables=True)
    strategy = make_strategy("exact", problem.problem)
    measured = problem.measure(strategy.ask(1))[0]
    if measured["size_bytes"].value > instance.limit:
        raise AssertionError(f"{instance.name}: the exact answer breaks its limit")
    return measured["kl"].value + instance.offset


def evolve(
    instance: Instance, seed: int, evaluations: int, *, batch: int = 32, stop_at: float | None = None
) -> tuple[float, int, int]:
    """Return (best feasible objective, evaluation that found it, evaluations spent) from random starts."""
    problem = instance.problem(seed, give_tables=False)
    strategy = make_strategy("evolutionary", problem.problem)
    best, found_at, spent = float("inf"), 0, 0
    while spent < evaluations:
        candidates = strategy.ask(min(batch, evaluations - spent))
        if not candidates:
            break
        trials = problem.trials(candidates, spent)
        strategy.tell(trials)
        for trial in trials:
            spent += 1
            if trial.value("size_bytes") <= instance.limit and trial.value("kl") < best:
                best, found_at = trial.value("kl"), spent
        if stop_at is not None and best + instance.offset <= stop_at:
            break
    return best + instance.offset, found_at, spent


def main() -> None:
    """Run all problems and write results.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=20000)
    arguments = parser.parse_args()
    path = data_file()
    if path is None:
        raise SystemExit("hawq_v3_ilp.json not found: set AUTOML_SHARED_DATA to the folder that holds it")
    problems = instances(json.loads(path.read_text()))
    solve_exact(problems[0])  # the first call imports the solver
    start = time.perf_counter()
    optima = [solve_exact(p) for p in problems]
    exact_seconds = time.perf_counter() - start
    rows = []
    for instance, optimum in zip(problems, optima, strict=True):
        start = time.perf_counter()
        runs, within = [], optimum + 1e-3 * abs(optimum)
        for seed in range(arguments.seeds):
            value, found_at, spent = evolve(instance, seed, arguments.evaluations, stop_at=within)
            runs.append({"value": value, "reached": value <= within, "found_at": found_at, "spent": spent})
        rows.append(
            {
                "problem": instance.name,
                "dimensions": len(instance.unary["kl"]),
                "published": instance.published,
                "exact": optimum,
                "evolution": runs,
                "seconds": round(time.perf_counter() - start, 2),
            }
        )
        at = [run["found_at"] if run["reached"] else None for run in runs]
        print(instance.name, f"{instance.published:.4f}", f"{optimum:.4f}", at, flush=True)
    matched = sum(abs(r["exact"] - r["published"]) < 1e-9 for r in rows)
    better = sum(r["exact"] < r["published"] - 1e-9 for r in rows)
    reached = sum(run["reached"] for row in rows for run in row["evolution"])
    runs = len(rows) * arguments.seeds
    print(f"exact: {matched} equal the published answer, {better} better, {exact_seconds:.3f} s together")
    print(f"evolution: {reached} of {runs} runs within 0.1 % in {arguments.evaluations} evaluations")
    summary = {"exact_seconds": round(exact_seconds, 4), "equal": matched, "better": better, "rows": rows}
    (HERE / "results.json").write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()
