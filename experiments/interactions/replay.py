"""Every strategy on the recorded tables: hypervolume after 50, 200 and 1,000 evaluations.

    python experiments/interactions/replay.py --seeds 5
    python experiments/interactions/replay.py --table

Appends a row a run to ``replay.jsonl`` beside this file and prints the tables of the README; rows that are
there are not run again. ``--answers emulated`` evaluates what a strategy asks for by the emulator (see
``emulator.py``); ``--answers recorded`` evaluates the nearest recorded candidate instead, each once.
``--start blind`` gives the strategies nothing but the space; ``--start priced`` gives them what a search of
the product does: prices, prediction and the exact additive seeds. ``--rows N N`` takes the first N rows of
each table; a run counts for the number of rows it was made with.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from automl.strategies.base import Problem
    from automl.strategies.base import Strategy

for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(pool, "1")

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from emulator import Emulator  # noqa: E402
from play import Emulated  # noqa: E402
from play import Nearest  # noqa: E402
from play import volumes  # noqa: E402
from recorded_table import Recorded  # noqa: E402
from recorded_table import read_table  # noqa: E402
from replay_report import MARKS  # noqa: E402
from replay_report import at  # noqa: E402
from replay_report import fit_table  # noqa: E402
from replay_report import markdown  # noqa: E402
from replay_report import uniform_table  # noqa: E402

from automl.core.errors import StrategyError  # noqa: E402
from automl.strategies.base import Remarking  # noqa: E402
from automl.strategies.surrogate import Surrogate  # noqa: E402
from automl.strategies.surrogate import SurrogateSettings  # noqa: E402
from automl.strategies.table import list_strategies  # noqa: E402
from automl.strategies.table import make_strategy  # noqa: E402
from automl.strategies.table import strategy_class  # noqa: E402

ROWS = HERE / "replay.jsonl"
TABLES = ("resnet56", "lite0")
#: Evaluations whose volume is kept.
KEPT = (*range(8, 201, 8), *range(250, 1001, 50))
#: A Gaussian process over all trials takes seconds for each proposal: (evaluations, seeds) it is given.
SLOW = {"optuna:gp": (200, 5)}
#: ``surrogate`` that begins with random candidates, to tell what its first design is worth from the rest.
RANDOM_START = "surrogate (random start)"


def made(name: str, problem: Problem) -> Strategy:
    """Return the strategy of this name, or the variant of one that only this experiment knows."""
    if name == RANDOM_START:
        return Surrogate(problem, screening=SurrogateSettings(designed=False))
    return make_strategy(name, problem)


def one_run(
    recorded: Recorded, emulator: Emulator | None, key: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Return the row of one run; ``emulator`` is None to answer from the recorded rows alone."""
    name, most = key["strategy"], SLOW.get(key["strategy"], (MARKS[-1], 0))[0]
    start, curve, ended, strategy = time.process_time(), [], "exhausted", None
    try:
        strategy = made(name, recorded.problem(key["seed"], priced=key["start"] == "priced"))
        answers = Nearest(recorded) if emulator is None else Emulated(recorded, emulator)
        for volume in volumes(recorded, strategy, answers, most):
            curve.append(volume)
            if len(curve) == most:
                ended = "evaluations"
            elif time.process_time() - start > seconds:
                ended = "time"
                break
    except StrategyError as error:
        ended = f"refused: {error}"
    full = ended == "exhausted" and curve
    stood = {m: curve[min(m, len(curve)) - 1] for m in KEPT if m <= len(curve) or full}
    said = list(strategy.remarks) if isinstance(strategy, Remarking) else []
    spent = {"spent": len(curve), "seconds": round(time.process_time() - start, 2), "remarks": said}
    return {**key, "rows": len(recorded.rows), "volumes": stood, "ended": ended, **spent}


def read_runs(tables: list[Recorded]) -> list[dict[str, Any]]:
    """Return the latest of each run on the tables as they are; those on shorter ones are left out."""
    counts = {t.name: len(t.rows) for t in tables}
    runs: dict[tuple[Any, ...], dict[str, Any]] = {}
    for line in ROWS.read_text().splitlines() if ROWS.exists() else []:
        try:
            run = json.loads(line)
        except ValueError:
            continue
        if run["rows"] == counts.get(run["table"]):
            runs[key_of(run)] = {**run, "volumes": {int(k): v for k, v in run["volumes"].items()}}
    return list(runs.values())


def key_of(run: dict[str, Any]) -> tuple[Any, ...]:
    """Return what makes a run one run."""
    return tuple(run[field] for field in ("table", "answers", "start", "strategy", "seed"))


def planned(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the keys of all runs on one table, seed by seed."""
    names = options.only or [*list_strategies(), *([RANDOM_START] if options.start == "blind" else [])]
    return [
        {"table": name, "answers": options.answers, "start": options.start, "strategy": s, "seed": seed}
        for seed in range(options.seeds)
        for s in names
        if seed < SLOW.get(s, (0, options.seeds))[1]
        and (options.start == "priced" or s == RANDOM_START or not strategy_class(s).info.needs_tables)
    ]


def main() -> None:
    """Run what is missing and print the tables."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--tables", nargs="+", default=list(TABLES))
    parser.add_argument("--rows", type=int, nargs="+", help="use the first rows of each table")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--answers", choices=("emulated", "recorded"), default="emulated")
    parser.add_argument("--start", choices=("blind", "priced"), default="blind")
    parser.add_argument("--only", nargs="+", help="strategies; all when absent")
    parser.add_argument("--seconds", type=float, default=600.0, help="limit of one run in processor time")
    parser.add_argument("--table", action="store_true", help="print what is there and run nothing")
    options = parser.parse_args()
    rows = options.rows or [None] * len(options.tables)
    tables = [read_table(HERE, name, most) for name, most in zip(options.tables, rows, strict=True)]
    emulator_of = cache(lambda position: Emulator(tables[position]))
    if not options.table:
        # what a limit on time cut off is run again under a larger one
        runs = read_runs(tables)
        done = {key_of(r) for r in runs if r["ended"] != "time" or r["seconds"] >= options.seconds}
        for position, recorded in enumerate(tables):
            for key in planned(recorded.name, options):
                if key_of(key) in done:
                    continue
                emulator = emulator_of(position) if options.answers == "emulated" else None
                run = one_run(recorded, emulator, key, options.seconds)
                with ROWS.open("a") as stream:
                    stream.write(json.dumps(run) + "\n")
                shown = {m: round(v, 4) for m in MARKS if (v := at(run, m)) is not None}
                print(*key.values(), shown, run["ended"], run["seconds"], flush=True)
    fits = {t.name: emulator_of(position) for position, t in enumerate(tables)}
    text = "\n".join([fit_table(tables, fits), "", uniform_table(tables), markdown(read_runs(tables))])
    readme = HERE / "README.md"
    before, _, rest = readme.read_text().partition("<!-- table -->\n")
    readme.write_text(f"{before}<!-- table -->\n{text}\n<!-- end -->{rest.partition('<!-- end -->')[2]}")
    print(text)


if __name__ == "__main__":
    main()
