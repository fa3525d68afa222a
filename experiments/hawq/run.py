"""HAWQ-V3's 18 bit-allocation problems: exact, frontier program and evolution against the published answers.

Run: ``python experiments/hawq/run.py [--seeds 5] [--evaluations 20000]``; writes results.json beside it.
Where the data is found: hawq_problems.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from hawq_problems import Instance  # noqa: E402
from hawq_problems import data_file  # noqa: E402
from hawq_problems import instances  # noqa: E402
from hawq_problems import progress  # noqa: E402
from hawq_problems import solve_exact  # noqa: E402


def evolve(
    instance: Instance, seed: int, evaluations: int, *, batch: int = 32, stop_at: float | None = None
) -> tuple[float, int, int]:
    """Return (best feasible objective, evaluation that found it, evaluations spent) from random starts."""
    best, found_at, spent = float("inf"), 0, 0
    runs = progress("evolutionary", instance, seed, evaluations, batch=batch, give_tables=False)
    for spent, value in runs:
        if value < best:
            best, found_at = value, spent
        if stop_at is not None and best <= stop_at:
            break
    return best, found_at, spent


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
