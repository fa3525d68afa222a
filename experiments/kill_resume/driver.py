"""One run on the simulated target, as a process that can be killed: driver.py FOLDER EXECUTOR TRIALS SLEEP_S.

Prints ``ready`` before the search and ``running`` when its first trial is recorded: with Ray the seconds
between are most of a short run.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

from automl.core.budget import parse_budgets
from automl.core.outcome import EventKind
from automl.core.outcome import StopRule
from automl.core.rng import child_seed
from automl.engine import SearchRun
from automl.engine import run_search
from automl.execution.base import Lane
from automl.execution.local_executor import LocalExecutor
from automl.execution.trial_runner import Stage
from automl.ledger import Ledger
from automl.strategies.base import Problem
from automl.strategies.table import make_strategy
from automl.testing.simulated_target import OBJECTIVES
from automl.testing.simulated_target import build_target
from automl.testing.simulated_target import simulate

SETTINGS = {"layers": 16, "seed": 3, "noise": 0.05, "failing": 0.1}
BUDGETS = ("latency=0.8x", "size=40KB")
STAGES = (Stage("quality", Lane.SHARED), Stage("latency", Lane.EXCLUSIVE))
SEED = 7


def make_executor(name):
    if name == "ray":
        from automl.execution.ray_executor import RayExecutor

        return RayExecutor(2, oversubscribe=True)
    return LocalExecutor(2 if name == "processes" else 1, oversubscribe=True)


def identity(trial):
    """Return everything of a trial but its wall time."""
    measurement = None if trial.measurement is None else trial.measurement.to_json()
    return [
        trial.number,
        trial.candidate.json,
        str(trial.state),
        str(trial.fidelity),
        measurement,
        trial.failure,
        trial.origin,
    ]


def say_running():
    """Return a listener that prints ``running`` at the first trial."""
    said = []

    def listen(event):
        if event.kind is EventKind.TRIAL and not said:
            said.append(True)
            print("running", flush=True)

    return listen


def search(folder, executor_name, trials, sleep_s=0.005, on_event=lambda event: None):
    settings = {**SETTINGS, "sleep_s": sleep_s}
    target = build_target(**settings)
    meta = {"seed": SEED, "budgets": list(BUDGETS), "target": SETTINGS}
    ledger = Ledger.open(folder / "ledger.journal", objectives=OBJECTIVES, space=target.space, meta=meta)
    executor = make_executor(executor_name)
    executor.start(partial(build_target, **settings), simulate)

    def strategy(budgets):
        seed = child_seed(SEED, "strategy")
        return make_strategy("evolutionary", Problem(target.space, OBJECTIVES, budgets, seed))

    run = SearchRun(
        strategy,
        executor,
        ledger,
        OBJECTIVES,
        target.space.default,
        budgets=parse_budgets(BUDGETS),
        seed=SEED,
        stop=StopRule(trials=trials),
        stages=STAGES,
        on_event=on_event,
    )
    try:
        return run_search(run)
    finally:
        executor.close()
        ledger.close()


def main():
    folder, executor_name, trials, sleep_s = (
        Path(sys.argv[1]),
        sys.argv[2],
        int(sys.argv[3]),
        float(sys.argv[4]),
    )
    print("ready", flush=True)
    outcome = search(folder, executor_name, trials, sleep_s, say_running())
    result = {
        "trials": [identity(t) for t in outcome.trials],
        "front": [t.number for t in outcome.front],
        "best": None if outcome.best is None else outcome.best.number,
        "stopped_by": str(outcome.stopped_by),
        "hypervolume": outcome.hypervolumes[-1][1],
        "notes": list(outcome.notes),
    }
    (folder / "outcome.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
