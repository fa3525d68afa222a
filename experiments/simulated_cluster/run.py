"""Where the driver saturates: the real engine, ledger and strategies on a virtual clock.

    python experiments/simulated_cluster/run.py [--trials 20000] [--workers 1 10 100 1000 10000]

An evaluation costs virtual time drawn from costs.json, the trials of real searches; half a second of it, or
half of it when it is shorter than a second, is timing. What the driver does costs processor time. It works
while nothing else can, between two generations, so a real run takes about the sum of the schedule (virtual
seconds) and of the driver's work (processor seconds; syncing the ledger's disk is not in them). A generation
has as many candidates as there are workers, at least 8.
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
DIMENSIONS = 50


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


def run(workers, trials, strategy, stages, folder):
    target = build_target(DIMENSIONS, seed=3)
    ledger = Ledger.open(folder / "ledger.journal", objectives=OBJECTIVES, space=target.space, meta={})
    counted, evaluated = Counted(ledger), [0.0]
    executor = SimulatedExecutor(workers, cost, setup_s=10.0)
    executor.start(partial(build_target, DIMENSIONS, 3), partial(measured, evaluated))
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
    real = time.process_time() - began - evaluated[0]
    ledger.close()
    work = sum(end - start for _, start, end in executor.history)
    schedule = executor.now()
    return {
        "workers": workers,
        "strategy": strategy,
        "timing": "own device a worker" if stages is EVERYTHING else "one device, alone",
        "trials": len(outcome.trials),
        "schedule_s": round(schedule, 1),
        "driver_s": round(real, 1),
        "driver_ms_a_trial": round(1e3 * real / len(outcome.trials), 3),
        "ledger_share_of_driver": round(counted.seconds / real, 3),
        "trials_a_second": round(len(outcome.trials) / (schedule + real), 2),
        "busy_in_schedule": round(work / (workers * schedule), 4),
        "busy_with_driver": round(work / (workers * (schedule + real)), 4),
        "resident_mb": round(psutil.Process().memory_info().rss / 1e6),
    }


def measured(evaluated, state, payload):
    began = time.process_time()
    value = simulate(state, payload)
    evaluated[0] += time.process_time() - began
    return value


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 10, 100, 1000, 10_000])
    parser.add_argument("--strategies", nargs="+", default=["evolutionary", "random"])
    parser.add_argument("--folder", type=Path, help="where ledgers are written")
    parser.add_argument("--million", action="store_true", help="add 10^6 trials of random on 10,000 workers")
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    arguments = parser.parse_args()
    plan = [
        (workers, arguments.trials, strategy, stages)
        for strategy in arguments.strategies
        for stages in (SEPARATE, EVERYTHING)
        for workers in arguments.workers
    ]
    if arguments.million:
        plan.append((10_000, 1_000_000, "random", EVERYTHING))
    rows = []
    for workers, trials, strategy, stages in plan:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as place:
            rows.append(run(workers, trials, strategy, stages, Path(place)))
        print(json.dumps(rows[-1]), flush=True)
        arguments.results.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
