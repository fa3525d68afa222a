"""Where the driver saturates: the real engine, ledger and strategies on a virtual clock.

    python experiments/simulated_cluster/run.py [--trials 20000] [--workers 10 100 1000 10000] [--million]
        [--folder /dev/shm]

An evaluation costs virtual time drawn from costs.json, the trials of real searches; half a second of it, or
half of it when it is shorter than a second, is timing. Timing happens on the only machine when nothing else
runs, on one device beside the workers, on ten, or on each worker itself. What the driver does costs processor
time. It works while nothing else can, between two generations, so a real run takes about the sum of the
schedule (virtual seconds) and of the driver's work (processor seconds; syncing the ledger's disk is not in
them). A generation has as many candidates as there are workers, at least 8. Rows that are in the results
already are not measured again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from functools import partial
from pathlib import Path

import psutil

from automl.core.outcome import StopRule
from automl.engine import SearchRun
from automl.engine import run_search
from automl.execution.base import Lane
from automl.execution.simulated import SimulatedExecutor
from automl.execution.trial_runner import Stage
from automl.ledger import Ledger
from automl.strategies.base import Problem
from automl.strategies.table import make_strategy
from automl.testing.simulated_target import OBJECTIVES
from automl.testing.simulated_target import build_target
from automl.testing.simulated_target import simulate

HERE = Path(__file__).parent
EVERYTHING = (Stage("all", Lane.SHARED),)
SEPARATE = (Stage("quality", Lane.SHARED), Stage("latency", Lane.EXCLUSIVE))
COSTS = json.loads((HERE / "costs.json").read_text())["seconds"]
TIMING_S = 0.5
DIMENSIONS = 100
#: Where an evaluation is timed: what the row says, jobs of a trial, timing devices beside the workers.
PLACES = {
    "alone": ("the one machine, when nothing else runs", SEPARATE, 0),
    "one": ("one device", SEPARATE, 1),
    "ten": ("ten devices", SEPARATE, 10),
    "own": ("each worker", EVERYTHING, 0),
}


def cost(payload):
    """Return the virtual seconds of a job: a function of candidate and stage alone."""
    text = json.dumps(payload["candidate"], sort_keys=True)
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    whole = COSTS[number % len(COSTS)]
    timing = min(TIMING_S, whole / 2)
    return {"all": whole, "quality": whole - timing, "latency": timing}[payload["stage"]]


class Counted:
    """Passes calls on to the ledger and adds up their time."""

    def __init__(self, ledger):
        self.ledger, self.seconds = ledger, 0.0

    def record(self, trial):
        began = time.process_time()
        self.ledger.record(trial)
        self.seconds += time.process_time() - began

    def trials(self):
        return self.ledger.trials()


class Booked(SimulatedExecutor):
    """Adds up the processor time of evaluating and of keeping the virtual clock: neither is the driver's."""

    spent, worked = 0.0, 0.0

    def _step(self):
        began = time.process_time()
        super()._step()
        self.spent += time.process_time() - began
        self.worked += sum(end - start for _, start, end in self.history)
        self.history.clear()


def run(workers, trials, strategy, place, folder):
    name, stages, devices = PLACES[place]
    target = build_target(DIMENSIONS, seed=3)
    ledger = Ledger.open(folder / "ledger.journal", objectives=OBJECTIVES, space=target.space, meta={})
    counted = Counted(ledger)
    executor = Booked(workers, cost, setup_s=10.0, timing_devices=devices)
    executor.start(partial(build_target, DIMENSIONS, 3), simulate)
    before = psutil.Process().memory_info().rss
    search = SearchRun(
        lambda budgets: make_strategy(strategy, Problem(target.space, OBJECTIVES, budgets, 0)),
        executor,
        counted,
        OBJECTIVES,
        target.space.default,
        stop=StopRule(trials),
        batch=max(8, workers),
        stages=stages,
        clock=executor.now,
    )
    began = time.process_time()
    outcome = run_search(search)
    real = time.process_time() - began - executor.spent
    ledger.close()
    schedule = executor.now()
    return {
        "workers": workers,
        "strategy": strategy,
        "timed_on": name,
        "asked_for": trials,
        "trials": len(outcome.trials),
        "schedule_s": round(schedule, 1),
        "driver_s": round(real, 1),
        "driver_ms_a_trial": round(1e3 * real / len(outcome.trials), 3),
        "ledger_share_of_driver": round(counted.seconds / real, 3),
        "trials_a_second": round(len(outcome.trials) / (schedule + real), 2),
        "busy_in_schedule": round(executor.worked / ((workers + devices) * schedule), 4),
        "busy_with_driver": round(executor.worked / ((workers + devices) * (schedule + real)), 4),
        "resident_mb_before_and_after": [
            round(before / 1e6),
            round(psutil.Process().memory_info().rss / 1e6),
        ],
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 100, 1000, 10_000])
    parser.add_argument("--strategies", nargs="+", default=["evolutionary"])
    parser.add_argument("--timed-on", nargs="+", default=list(PLACES), choices=list(PLACES))
    parser.add_argument("--folder", type=Path, help="where ledgers are written")
    parser.add_argument("--million", action="store_true", help="add 10^6 trials of random on 10,000 workers")
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    arguments = parser.parse_args()
    plan = [
        (workers, arguments.trials, strategy, place)
        for strategy in arguments.strategies
        for place in arguments.timed_on
        for workers in arguments.workers
    ]
    if arguments.million:
        plan.append((10_000, 1_000_000, "random", "own"))
    rows = json.loads(arguments.results.read_text()) if arguments.results.exists() else []
    had = {(row["workers"], row["asked_for"], row["strategy"], row["timed_on"]) for row in rows}
    for workers, trials, strategy, place in plan:
        if (workers, trials, strategy, PLACES[place][0]) in had:
            continue
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            rows.append(run(workers, trials, strategy, place, Path(folder)))
        print(json.dumps(rows[-1]), flush=True)
        arguments.results.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
