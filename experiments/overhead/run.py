"""What the driver costs a trial, how large a ledger may grow, and whether memory stays flat.

    python experiments/overhead/run.py [--trials 10000] [--dimensions 200] [--ledger 100000]
        [--ledger-folder /dev/shm] [--long 100000 [--long-folder PLACE]]

One search runs in this process on a made-up chain of layers whose evaluation is an array look-up. What is
not the evaluation is overhead: the ask and tell of the strategy, the record of the ledger, and the engine
itself, each timed. Then a ledger of many trials is written, opened again and read by a second reader. With
--long a search of as many trials is recorded and resumed to its end, every generation asked for again. Memory
is the resident set of the process, garbage collected, each tenth of the search. Exit status 1 when a limit is
missed: 10 ms a trial, one minute to open the ledger.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import psutil

from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.outcome import EventKind
from automl.core.outcome import StopRule
from automl.core.rng import child_rng
from automl.core.trial import Trial
from automl.core.trial import TrialState
from automl.engine import SearchRun
from automl.engine import run_search
from automl.execution.local_executor import InlineExecutor
from automl.ledger import Ledger
from automl.ledger import read_ledger
from automl.strategies.base import Problem
from automl.strategies.table import make_strategy
from automl.testing.simulated_target import OBJECTIVES
from automl.testing.simulated_target import build_target
from automl.testing.simulated_target import simulate

HERE = Path(__file__).parent
META = {"study": "overhead"}


class Timed:
    """Passes calls on to an object and adds up how long the named ones take."""

    def __init__(self, inner, *names):
        self._inner = inner
        self.seconds = 0.0
        for name in names:
            setattr(self, name, partial(self._call, getattr(inner, name)))

    def _call(self, function, *arguments):
        began = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            self.seconds += time.perf_counter() - began

    def __getattr__(self, name):
        return getattr(self._inner, name)


def timed_work(spent, state, payload):
    began, worked = time.perf_counter(), time.process_time()
    value = simulate(state, payload)
    spent[0] += time.perf_counter() - began
    spent[1] += time.process_time() - worked
    return value


def sync_ms(folder, rounds=200):
    """Return the median milliseconds of writing and syncing 1 kB: what a durable line costs on this disk."""
    taken = []
    with (folder / "probe").open("wb") as file:
        for _ in range(rounds):
            began = time.perf_counter()
            file.write(bytes(1000))
            file.flush()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return round(1e3 * statistics.median(taken), 3)


def resident_mb():
    gc.collect()
    return psutil.Process().memory_info().rss / 1e6


def search(folder, strategy_name, dimensions, trials):
    """Return what one search of ``trials`` trials cost, in milliseconds a trial, and its memory."""
    target = build_target(dimensions, seed=3)
    ledger = Ledger.open(folder / "ledger.journal", objectives=OBJECTIVES, space=target.space, meta=META)
    timed_ledger = Timed(ledger, "record")
    strategies, spent, memory = [], [0.0, 0.0], []
    executor = InlineExecutor()
    executor.start(partial(build_target, dimensions, 3), partial(timed_work, spent))

    def make(budgets):
        made = make_strategy(strategy_name, Problem(target.space, OBJECTIVES, budgets, 0))
        strategies.append(Timed(made, "ask", "tell"))
        return strategies[0]

    marks = set(range(trials // 10, trials + 1, trials // 10))

    def watch(event):
        if event.kind is EventKind.TRIAL and event.done in marks:
            memory.append([event.done, round(resident_mb(), 1), round(time.perf_counter() - began, 2)])

    run = SearchRun(
        make, executor, timed_ledger, OBJECTIVES, target.space.default, stop=StopRule(trials), on_event=watch
    )
    began, worked = time.perf_counter(), time.process_time()
    outcome = run_search(run)
    total, processor = time.perf_counter() - began, time.process_time() - worked
    ledger.close()
    parts = {"strategy": strategies[0].seconds, "ledger": timed_ledger.seconds}
    parts["engine"] = total - spent[0] - sum(parts.values())
    count = len(outcome.trials)
    return {
        "strategy": strategy_name,
        "dimensions": dimensions,
        "trials": count,
        "ms_a_trial": {name: round(1e3 * s / count, 3) for name, s in parts.items()},
        "overhead_ms_a_trial": round(1e3 * sum(parts.values()) / count, 3),
        "processor_ms_a_trial": round(1e3 * (processor - spent[1]) / count, 3),
        "resident_mb_and_seconds_at": memory,
        "journal_mb": round((folder / "ledger.journal").stat().st_size / 1e6, 1),
    }


def resume(folder, strategy_name, dimensions, trials):
    """Return the seconds in which the recorded search is replayed to its end."""
    began, worked = time.perf_counter(), time.process_time()
    target = build_target(dimensions, seed=3)
    ledger = Ledger.open(folder / "ledger.journal", objectives=OBJECTIVES, space=target.space, meta=META)
    opened = time.perf_counter() - began
    executor = InlineExecutor()
    executor.start(partial(build_target, dimensions, 3), simulate)
    run = SearchRun(
        lambda budgets: make_strategy(strategy_name, Problem(target.space, OBJECTIVES, budgets, 0)),
        executor,
        ledger,
        OBJECTIVES,
        target.space.default,
        stop=StopRule(trials),
    )
    run_search(run)
    ledger.close()
    return {
        "open_s": round(opened, 2),
        "open_and_replay_s": round(time.perf_counter() - began, 2),
        "open_and_replay_processor_s": round(time.process_time() - worked, 2),
    }


def vectorized_ask(strategy_name, dimensions, count=1000):
    """Return the milliseconds of one ask for ``count`` candidates, after as many were told."""
    target = build_target(dimensions, seed=3)
    strategy = make_strategy(strategy_name, Problem(target.space, OBJECTIVES, (), 0))
    strategy.tell([trial(number, c, target) for number, c in enumerate(strategy.ask(count))])
    began = time.perf_counter()
    asked = strategy.ask(count)
    return {"candidates": len(asked), "ms": round(1e3 * (time.perf_counter() - began), 1)}


def trial(number, candidate, target):
    return Trial(number, candidate, TrialState.COMPLETE, measurement=target.measure(candidate), origin="x")


def large_ledger(folder, dimensions, trials):
    """Return how long a ledger of ``trials`` trials takes to write and to open, and its size."""
    target = build_target(dimensions, seed=3)
    rng = child_rng(0, "large ledger")
    path = folder / "large.journal"
    ledger = Ledger.open(path, objectives=OBJECTIVES, space=target.space, meta=META)
    began = time.perf_counter()
    for start in range(0, trials, 1000):
        codes = target.space.sample(rng, min(1000, trials - start))
        kl, latency = target.damages(codes), target.latencies(codes)
        for row, code in enumerate(codes):
            measured = {"kl": Metric(float(kl[row]), "nat"), "latency_ms": Metric(float(latency[row]), "ms")}
            candidate = target.space.decode(code)
            measurement = Measurement(measured)
            ledger.record(
                Trial(start + row, candidate, TrialState.COMPLETE, measurement=measurement, origin="x")
            )
    written = time.perf_counter() - began
    ledger.close()
    del ledger
    before = resident_mb()
    began, worked = time.perf_counter(), time.process_time()
    ledger = Ledger.open(path, objectives=OBJECTIVES, space=target.space, meta=META)
    opened, processor = time.perf_counter() - began, time.process_time() - worked
    held = resident_mb() - before
    ledger.close()
    began = time.perf_counter()
    seen = len(read_ledger(path).trials)
    return {
        "dimensions": dimensions,
        "trials": seen,
        "write_ms_a_trial": round(1e3 * written / trials, 3),
        "open_s": round(opened, 2),
        "open_processor_s": round(processor, 2),
        "read_s": round(time.perf_counter() - began, 2),
        "journal_mb": round(path.stat().st_size / 1e6, 1),
        "resident_mb": round(held, 1),
    }


def long_search(arguments):
    """Return what a long search cost and its resuming takes; a search that was kept is only resumed."""
    place = arguments.long_folder or Path(tempfile.mkdtemp(dir=arguments.ledger_folder))
    place.mkdir(exist_ok=True)
    told = place / "search.json"
    if not told.exists():
        found = search(place, "evolutionary", arguments.dimensions, arguments.long)
        told.write_text(json.dumps(found))
    found = json.loads(told.read_text())
    found["resume"] = resume(place, "evolutionary", arguments.dimensions, arguments.long)
    print(json.dumps(found), flush=True)
    if arguments.long_folder is None:
        shutil.rmtree(place)
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--dimensions", type=int, default=200)
    parser.add_argument("--ledger", type=int, default=100_000)
    parser.add_argument("--strategies", nargs="*", default=["evolutionary", "random"])
    parser.add_argument("--ledger-folder", type=Path, help="where the large ledger is written")
    parser.add_argument("--long", type=int, default=0, help="trials of a search that is resumed as a whole")
    parser.add_argument("--long-folder", type=Path, help="where the long search is kept")
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    arguments = parser.parse_args()
    results = {"searches": []}
    if arguments.long:
        results["long"] = long_search(arguments)
    for name in arguments.strategies:
        with tempfile.TemporaryDirectory() as place:
            synced = sync_ms(Path(place))
            found = search(Path(place), name, arguments.dimensions, arguments.trials)
            found["resume"] = resume(Path(place), name, arguments.dimensions, arguments.trials)
        found["sync_ms"] = synced
        found["ask"] = vectorized_ask(name, arguments.dimensions)
        print(json.dumps(found), flush=True)
        results["searches"].append(found)
    if arguments.ledger:
        with tempfile.TemporaryDirectory(dir=arguments.ledger_folder) as place:
            results["ledger"] = large_ledger(Path(place), arguments.dimensions, arguments.ledger)
        print(json.dumps(results["ledger"]), flush=True)
    arguments.results.write_text(json.dumps(results, indent=1) + "\n")
    slow = [s["strategy"] for s in results["searches"] if s["overhead_ms_a_trial"] >= 10]
    late = results.get("ledger", {}).get("open_s", 0.0) >= 60
    print(f"over 10 ms a trial: {slow or 'none'}; ledger opened in time: {not late}")
    sys.exit(1 if slow or late else 0)


if __name__ == "__main__":
    main()
