"""Kill runs at random moments and check that the resumed ones equal the run that nobody killed.

    python experiments/kill_resume/run.py [--kills 20] [--worker-kills 3] [--executors inline,processes,ray]

Three proofs: the driver is killed with SIGKILL and resumed; one run is killed again and again until
it gets through; a worker process is killed while the driver goes on. Exit status 1 if any run differs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from automl.core.errors import LedgerError
from automl.core.rng import child_rng
from automl.ledger import read_ledger

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from driver import identity  # noqa: E402

#: Seconds that a simulated evaluation sleeps: long enough that kills fall into the search.
SLEEP_S = {"inline": 0.005, "processes": 0.05, "ray": 0.05}


def start(folder, executor, trials):
    """Start a driver; with workers, wait until they have come up and the first trial is recorded."""
    process = subprocess.Popen(
        [
            sys.executable,
            str(HERE / "driver.py"),
            str(folder),
            executor,
            str(trials),
            str(SLEEP_S[executor]),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    if executor != "inline":
        process.stdout.readline()
    return process


def finish(folder, executor, trials):
    process = start(folder, executor, trials)
    ready = time.monotonic()
    if process.wait() != 0:
        raise SystemExit(f"the driver ended with status {process.returncode}")
    return {**json.loads((folder / "outcome.json").read_text()), "seconds": time.monotonic() - ready}


def recorded(folder):
    try:
        return [identity(t) for t in read_ledger(folder / "ledger.journal").trials]
    except LedgerError:
        return []  # Killed before the study existed.


def kill_tree(process):
    """Kill the driver alone, as the kernel would; its workers must notice by themselves."""
    process.kill()
    process.wait()


def worker_processes(driver):
    found = []
    for child in psutil.Process(driver.pid).children(recursive=True):
        try:
            line = " ".join(child.cmdline())
        except psutil.Error:
            continue
        if "automl.execution.worker" in line or line.startswith("ray::_Actor"):
            found.append(child)
    return found


def check(reference, outcome, before=()):
    """Return what differs from the uninterrupted run, as a list of words."""
    wrong = [key for key in reference if outcome[key] != reference[key]]
    if list(before) != reference["trials"][: len(before)]:
        wrong.append("a trial that was recorded before the kill is lost or changed")
    return wrong


def kill_driver(root, executor, trials, kills, seconds, reference, rng):
    rows, late = [], 0
    while len(rows) < kills:
        folder = root / f"{executor}-{len(rows)}-{late}"
        process = start(folder, executor, trials)
        moment = float(rng.uniform(0.0, seconds))
        time.sleep(moment)
        if process.poll() is not None:
            # It ended before its moment: no kill, draw again.
            late += 1
            continue
        kill_tree(process)
        before = recorded(folder)
        wrong = check(reference, finish(folder, executor, trials), before)
        rows.append({"moment_s": round(moment, 3), "recorded": len(before), "wrong": wrong})
        print(
            f"{executor}: killed after {moment:.2f} s at {len(before)} trials: {wrong or 'equal'}", flush=True
        )
    return rows


def kill_again_and_again(root, executor, trials, seconds, reference, rng):
    folder, kills = root / f"{executor}-again", 0
    while True:
        process = start(folder, executor, trials)
        try:
            process.wait(float(rng.uniform(0.05, seconds / 2)) * (1.0 + 0.25 * kills))
            break
        except subprocess.TimeoutExpired:
            kill_tree(process)
            kills += 1
    outcome = json.loads((folder / "outcome.json").read_text())
    wrong = check(reference, outcome)
    print(f"{executor}: one run killed {kills} times: {wrong or 'equal'}", flush=True)
    return {"kills": kills, "wrong": wrong}


def kill_workers(root, executor, trials, kills, seconds, reference, rng):
    folder, killed = root / f"{executor}-workers", 0
    process = start(folder, executor, trials)
    while killed < kills and process.poll() is None:
        time.sleep(float(rng.uniform(0.1, seconds / (kills + 1))))
        workers = worker_processes(process)
        if workers and recorded(folder):
            workers[int(rng.integers(len(workers)))].kill()
            killed += 1
    status = process.wait()
    wrong = (
        check(reference, json.loads((folder / "outcome.json").read_text()))
        if status == 0
        else [f"status {status}"]
    )
    if not killed:
        wrong.append("no worker was found to kill")
    print(f"{executor}: {killed} workers killed: {wrong or 'equal'}", flush=True)
    return {"kills": killed, "wrong": wrong}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--worker-kills", type=int, default=3)
    parser.add_argument("--trials", type=int, default=80)
    parser.add_argument("--executors", default="inline,processes,ray")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    arguments = parser.parse_args()
    trials, results = arguments.trials, {}
    if arguments.results.exists():
        results = json.loads(arguments.results.read_text())
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        reference = finish(root / "reference", "inline", trials)
        del reference["seconds"]
        for executor in arguments.executors.split(","):
            rng = child_rng(arguments.seed, "kills", executor)
            plain = finish(root / f"{executor}-plain", executor, trials)
            # Most of it is the search; the start before the driver says it is ready is left out.
            seconds = plain.pop("seconds")
            row = {"seconds": round(seconds, 2), "undisturbed": check(reference, plain)}
            kills = arguments.kills
            row["driver"] = kill_driver(root, executor, trials, kills, seconds, reference, rng)
            if executor == "inline":
                row["again"] = kill_again_and_again(root, executor, trials, seconds, reference, rng)
            else:
                row["workers"] = kill_workers(
                    root, executor, trials, arguments.worker_kills, seconds, reference, rng
                )
            results[executor] = row
    arguments.results.write_text(json.dumps(results, indent=1) + "\n")
    bad = [
        executor
        for executor, row in results.items()
        if row["undisturbed"]
        or any(kill["wrong"] for kill in row["driver"])
        or row.get("again", {}).get("wrong")
        or row.get("workers", {}).get("wrong")
    ]
    print(f"not equal: {', '.join(bad)}" if bad else "every resumed run equals the uninterrupted one")
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
