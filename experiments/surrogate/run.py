"""How many evaluations a learned prediction saves: every strategy against 1,000 random evaluations.

Run: ``python experiments/surrogate/run.py [--seeds 5]``; writes results.json beside it and prints the tables
of the README. The data (``hawq_v3_ilp.json``) is found through AUTOML_SHARED_DATA or ``../shared/data``
beside the checkout. About ten minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(pool, "1")

import numpy as np  # noqa: E402

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "hawq")]

from hawq_problems import data_file  # noqa: E402
from hawq_problems import instances  # noqa: E402
from planted import Planted  # noqa: E402
from planted import volumes  # noqa: E402
from regressors import compare_regressors  # noqa: E402

from automl.strategies.table import strategy_class  # noqa: E402

MARKS = (50, 100, 200)
PROBLEMS = (("resnet18/bops/0.5", False), ("resnet50/bops/0.5", False), ("resnet50/latency/0.5", True))
SMALL = "resnet18/bops/0.5"
#: A Gaussian process over the candidates takes a second for each of them: fewer seeds, one problem, no more
#: than 100 evaluations.
SLOW = {"optuna:gp": 2}
RUNS = (
    *((name, False) for name in ("random", "evolutionary", "local", "surrogate", "portfolio")),
    *((name, True) for name in ("evolutionary", "surrogate", "portfolio")),
    *((f"optuna:{s}", False) for s in ("tpe", "nsgaii", "nsgaiii", "qmc", "cmaes", "random", "gp")),
)


def one_run(
    planted: Planted, name: str, priced: bool, seed: int, until: float, marks: tuple[int, ...]
) -> dict:
    """Return the row of one run; ``reached`` is the evaluation at which the volume passed ``until``."""
    synthetic = planted.problem(seed, priced=priced)
    strategy = strategy_class(name)(synthetic.problem)
    start, curve = time.process_time(), []
    for volume in volumes(planted, strategy, synthetic, marks[-1], until):
        curve.append(volume)
        if len(curve) >= marks[-1] and (volume >= until or name in SLOW):
            break
    passed = [i + 1 for i, volume in enumerate(curve) if volume >= until]
    row: dict[str, Any] = {
        "strategy": name + (", prices" if priced else ""),
        "seed": seed,
        # a strategy that has no more to propose keeps what it found
        "volumes": {str(m): round(curve[min(m, len(curve)) - 1], 5) for m in marks},
        "reached": passed[0] if passed else None,
        "evaluations": len(curve),
        "ms_per_evaluation": round(1e3 * (time.process_time() - start) / len(curve), 2),
    }
    if name == "surrogate":
        row["calibration"] = strategy.report
    return row


def study(planted: Planted, seeds: int) -> dict:
    """Return every strategy's rows on one problem."""
    random = [one_run(planted, "random", False, s, np.inf, (*MARKS, 1000)) for s in range(seeds)]
    bar = float(np.median([row["volumes"]["1000"] for row in random]))
    rows = list(random)
    for row in random:
        row["reached"] = None
    for name, priced in RUNS[1:]:
        if name in SLOW and planted.instance.name != SMALL:
            continue
        marks = MARKS[:2] if name in SLOW else MARKS
        counted = range(min(seeds, SLOW.get(name, seeds)))
        rows += [one_run(planted, name, priced, seed, bar, marks) for seed in counted]
        print(planted.name, summary(rows[-1]["strategy"], rows), flush=True)
    return {
        "problem": planted.name,
        "dimensions": len(planted.instance.unary["kl"]),
        "bar": bar,
        "rows": rows,
    }


def quartiles(values: list[float]) -> str:
    """Return ``median (lower to upper quartile)``."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def summary(strategy: str, rows: list[dict]) -> list[str]:
    """Return the cells of one strategy: name, evaluations to the bar, volumes at the marks, milliseconds."""
    mine = [r for r in rows if r["strategy"] == strategy]
    reached = [r["reached"] if r["reached"] is not None else np.inf for r in mine]
    middle = np.percentile(reached, [25, 50, 75], method="nearest")
    words = [
        "over " + str(max(r["evaluations"] for r in mine)) if np.isinf(v) else f"{v:.0f}" for v in middle
    ]
    at = f"{words[1]} ({words[0]} to {words[2]})" if strategy != "random" else "1,000 by definition"
    marks = [
        quartiles([r["volumes"][str(m)] for r in mine]) if str(m) in mine[0]["volumes"] else "" for m in MARKS
    ]
    return [strategy, at, *marks, f"{np.median([r['ms_per_evaluation'] for r in mine]):.1f}"]


def table(result: dict) -> str:
    """Return one problem's table in Markdown."""
    head = ["strategy", "evaluations to the bar", *(f"volume at {m}" for m in MARKS), "ms each"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    names = dict.fromkeys(r["strategy"] for r in result["rows"])
    lines += ["| " + " | ".join(summary(n, result["rows"])) + " |" for n in names]
    return "\n".join(lines)


def not_better_than_random(result: dict) -> list[str]:
    """Return the strategies whose median volume at 200 evaluations does not exceed random's."""
    at: dict[str, list[float]] = {}
    for row in result["rows"]:
        if "200" in row["volumes"]:
            at.setdefault(row["strategy"], []).append(row["volumes"]["200"])
    return [n for n, v in at.items() if n != "random" and np.median(v) <= np.median(at["random"])]


def calibration_lines(result: dict) -> list[str]:
    """Return what the surrogate said of itself after its last trial, one line a variant and metric."""
    lines = []
    for variant in ("surrogate", "surrogate, prices"):
        rows = [r["calibration"] for r in result["rows"] if r["strategy"] == variant]
        for column in range(len(rows[0])):
            parts = [r[column] for r in rows]
            used = sum(p["in_use"] for p in parts)
            ratio = np.median([p["error"] / (p["baseline_error"] or np.inf) for p in parts])
            ranks = [p["rank_correlation"] for p in parts if p["rank_correlation"] is not None]
            cover = np.median([p["coverage_95"] for p in parts])
            lines.append(
                f"| {result['problem']} | {variant} | {parts[0]['metric']} | {used} of {len(parts)} | "
                f"{ratio:.2f} | {np.median(ranks):.3f} | {cover:.2f} |"
            )
    return lines


def main() -> None:
    """Run all problems and write results.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    path = data_file()
    if path is None:
        raise SystemExit("hawq_v3_ilp.json not found: set AUTOML_SHARED_DATA to the folder that holds it")
    known = {i.name: i for i in instances(json.loads(path.read_text()))}
    regression = compare_regressors(Planted(known["resnet50/bops/0.5"], False))
    results = [study(Planted(known[name], budgeted), arguments.seeds) for name, budgeted in PROBLEMS]
    for result in results:
        result["not_better_than_random_at_200"] = not_better_than_random(result)
        print(f"\n{result['problem']}, {result['dimensions']} dimensions, bar {result['bar']:.4f}\n")
        print(table(result))
        print("not better than random at 200:", ", ".join(result["not_better_than_random_at_200"]) or "none")
    print("\n".join(line for result in results for line in calibration_lines(result)))
    print("\n".join(f"| {' | '.join(map(str, row.values()))} |" for row in regression))
    summary_file = {"seeds": arguments.seeds, "regressors": regression, "problems": results}
    (HERE / "results.json").write_text(json.dumps(summary_file, indent=1) + "\n")


if __name__ == "__main__":
    main()
