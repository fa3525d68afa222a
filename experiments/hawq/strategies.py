"""Every strategy on HAWQ-V3's 18 problems: gap to the optimum after 200, 1,000, 5,000 and 20,000 evaluations.

Run: ``python experiments/hawq/strategies.py`` appends one row a (strategy, problem, seed) to strategies.jsonl
beside it and prints the table; rows that are there are not run again, so it may be stopped and started at any
time. ``--only NAME`` and ``--problem TEXT`` narrow it, ``--table`` prints what is there and runs nothing.

Strategies come from the table of the package, without ``exact`` and ``exhaustive``; ``random`` is the
control. None sees prices unless it cannot start without them; ``--prices`` runs all of them with prices,
which here are the truth itself, and marks the rows. One process, one thread, generations of 8 as the engine
asks.
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

from automl.strategies.table import list_strategies  # noqa: E402
from automl.strategies.table import strategy_class  # noqa: E402

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from hawq_problems import Instance  # noqa: E402
from hawq_problems import data_file  # noqa: E402
from hawq_problems import instances  # noqa: E402
from hawq_problems import progress  # noqa: E402
from hawq_problems import solve_exact  # noqa: E402

ROWS = HERE / "strategies.jsonl"
MARKS = (200, 1000, 5000, 20_000)
#: Relative gaps whose first evaluation is recorded.
BOUNDS = (0.02, 0.002)
#: A gap up to this is the optimum, up to the rounding of sums.
ROUNDING = 1e-9
SOLVERS = {"exact", "exhaustive"}
BATCH = 8


def run_row(name: str, instance: Instance, optimum: float, seed: int, seconds: float, prices: bool) -> dict:
    """Return the row of one run.

    ``gaps`` holds for each mark (best feasible - optimum) / abs(optimum), None where nothing feasible was
    found; marks that the limit on processor time cut off are absent. A strategy that has no more to propose
    keeps its gap, and so does one that found the optimum: its run ends there, since nothing can change any
    more. ``within`` holds the evaluations after which the gap was at most each of the bounds, ``last`` the
    gap at the end, wherever that was.
    """
    given = prices or strategy_class(name).info.needs_tables
    start, best, spent, ended = time.process_time(), float("inf"), 0, "exhausted"
    gaps: dict[str, float | None] = {}
    within: dict[str, int] = {}
    for spent, best in progress(name, instance, seed, MARKS[-1], batch=BATCH, give_tables=given):
        now = gap(best, optimum)
        if spent in MARKS:
            gaps[str(spent)] = now
        for bound in BOUNDS:
            if now is not None and now <= bound:
                within.setdefault(str(bound), spent)
        if now is not None and now <= ROUNDING:
            ended = "optimum"
            break
        if spent == MARKS[-1]:
            ended = "evaluations"
        elif time.process_time() - start > seconds:
            ended = "time"
            break
    if ended in {"exhausted", "optimum"}:
        gaps.update({str(m): gap(best, optimum) for m in MARKS if m > spent})
    return {
        "strategy": name,
        "problem": instance.name,
        "seed": seed,
        "prices": given,
        "gaps": gaps,
        "within": within,
        "last": gap(best, optimum),
        "spent": spent,
        "ended": ended,
        "seconds": round(time.process_time() - start, 2),
    }


def gap(best: float, optimum: float) -> float | None:
    """Return the relative gap, None when nothing feasible was found."""
    return (best - optimum) / abs(optimum) if np.isfinite(best) else None


def read_rows() -> list[dict[str, Any]]:
    """Return the rows that are there; a line cut off by a stop is left out."""
    rows = []
    for line in ROWS.read_text().splitlines() if ROWS.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def key_of(row: dict[str, Any]) -> tuple[str, str, int, bool]:
    """Return what makes a row one row."""
    return row["strategy"], row["problem"], row["seed"], row["prices"]


def stood_at(row: dict[str, Any], mark: int) -> float:
    """Return the gap in percent after ``mark`` evaluations, infinite without a feasible candidate.

    Of a run that was cut off before, it is what was found until then: the whole run could only be better.
    """
    known = [row["gaps"][str(m)] for m in MARKS if m <= mark and str(m) in row["gaps"]]
    if str(mark) not in row["gaps"]:
        known += [row.get("last"), *map(float, row["within"])]
    return 100.0 * min((g for g in known if g is not None), default=np.inf)


def percent(values: list[float]) -> str:
    """Return median [quartiles] of gaps in percent."""
    low, middle, high = (np.percentile(values, q, method="inverted_cdf") for q in (25, 50, 75))
    return f"{middle:.3g} [{low:.3g}, {high:.3g}]"


def print_table(rows: list[dict[str, Any]], known: list[str]) -> None:
    """Print one line a strategy: gaps at every mark, and on how many problems the median ends within 2 %."""
    named: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["problem"] in known:
            named.setdefault(row["strategy"] + (" + prices" if row["prices"] else ""), []).append(row)
    titles = [f"gap % at {m:,}" for m in MARKS]
    print(
        "| strategy |",
        " | ".join(titles),
        "| problems within 2 % / 0.2 % | worst median % | runs, seeds | cut off, after | s a run |",
    )
    print("|---" * (len(MARKS) + 6) + "|")
    for name, own in sorted(named.items()):
        cells = [percent([stood_at(r, mark) for r in own]) for mark in MARKS]
        last = {}
        for problem in {r["problem"] for r in own}:
            ends = [stood_at(r, MARKS[-1]) for r in own if r["problem"] == problem]
            last[problem] = float(np.median(ends))
        cut = [r["spent"] for r in own if r["ended"] == "time"]
        stopped = f"{len(cut)}, {min(cut):,} to {max(cut):,}" if cut else "0"
        within = [sum(v <= limit for v in last.values()) for limit in (2.0, 0.2)]
        seconds = np.median([r["seconds"] for r in own])
        counts = f"{within[0]} / {within[1]} of {len(last)}"
        print(
            f"| {name} |",
            " | ".join(cells),
            f"| {counts} | {max(last.values()):.3g} | {len(own)}, {len({r['seed'] for r in own})} "
            f"| {stopped} | {seconds:.1f} |",
        )


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", help="a strategy to run; all when absent")
    parser.add_argument("--problem", default="", help="run problems whose name contains this")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=900.0, help="limit of one row in processor time")
    parser.add_argument("--prices", action="store_true")
    parser.add_argument("--table", action="store_true", help="print what is there and run nothing")
    arguments = parser.parse_args()
    path = data_file()
    if path is None:
        raise SystemExit("hawq_v3_ilp.json not found: set AUTOML_SHARED_DATA to the folder that holds it")
    problems = [i for i in instances(json.loads(path.read_text())) if arguments.problem in i.name]
    names = arguments.only or [n for n in list_strategies() if n not in SOLVERS]
    done = {key_of(row) for row in read_rows()}
    with ROWS.open("a") as file:
        for seed in range(0 if arguments.table else arguments.seeds):
            for instance in problems:
                optimum = solve_exact(instance)
                for name in names:
                    prices = arguments.prices or strategy_class(name).info.needs_tables
                    if (name, instance.name, seed, prices) in done:
                        continue
                    row = run_row(name, instance, optimum, seed, arguments.seconds, prices)
                    file.write(json.dumps(row) + "\n")
                    file.flush()
                    print(name, instance.name, seed, row["gaps"], row["ended"], row["seconds"], flush=True)
    rows = read_rows()
    print_table([r for r in rows if not arguments.only or r["strategy"] in names], [p.name for p in problems])


if __name__ == "__main__":
    main()
