"""Same seed, same trials on every executor; and what two one-thread workers gain over one.

    flock LOCK python experiments/ray_equals_local/run.py [--jobs 40] [--rounds 3]

The trials are compared on the simulated target. The throughput is that of a real CPU-bound job, forward
passes of a small convolutional network in torch, in jobs per minute once every worker is warm. The rounds of
one and two workers alternate and the medians are compared, because other work on the machine disturbs both.
Exit status 1 if trials differ, or if two workers reach less than 1.7 times the throughput of one (the latter
not with --no-gate).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

HERE = Path(__file__).parent
for folder in (HERE.parent / "kill_resume", HERE):
    sys.path.insert(0, str(folder))

from driver import identity  # noqa: E402
from driver import search  # noqa: E402
from workload import build_network  # noqa: E402
from workload import classify  # noqa: E402

from automl.execution.base import Job  # noqa: E402
from automl.execution.local_executor import ProcessExecutor  # noqa: E402
from automl.execution.ray_executor import RayExecutor  # noqa: E402


def compare_trials(trials):
    """Return the executors whose trials differ from those of the calling process."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        for executor in ("inline", "processes", "ray"):
            outcome = search(Path(name) / executor, executor, trials)
            found[executor] = (
                [identity(t) for t in outcome.trials],
                [t.number for t in outcome.front],
                outcome.hypervolumes,
            )
    return [name for name, content in found.items() if content != found["inline"]]


def jobs_per_minute(executor, jobs, tag):
    for number in range(jobs):
        executor.submit(Job(f"{tag}-{number}", {"seed": number, "batches": 12}))
    start = time.perf_counter()
    done = list(executor.completions())
    seconds = time.perf_counter() - start
    failures = [c.failure for c in done if c.failure]
    if failures:
        raise SystemExit(f"a job failed: {failures[0]}")
    return 60.0 * jobs / seconds, [c.value for c in done]


def throughput(build, jobs, rounds):
    """Return the medians of jobs a minute for one and two workers, measured in alternation."""
    rates = {1: [], 2: []}
    answers = []
    executors = {workers: build(workers) for workers in rates}
    try:
        for workers, executor in executors.items():
            executor.start(build_network, classify)
            jobs_per_minute(executor, 2 * workers, "warm")
        for number in range(rounds):
            for workers, executor in executors.items():
                rate, values = jobs_per_minute(executor, jobs, f"round{number}")
                rates[workers].append(rate)
                answers.append(values)
    finally:
        for executor in executors.values():
            executor.close()
    if any(values != answers[0] for values in answers):
        raise SystemExit("one and two workers computed different results")
    one, two = (statistics.median(rates[workers]) for workers in (1, 2))
    spread = [max(r) / min(r) - 1 for r in rates.values()]
    return {
        "one": round(one, 1),
        "two": round(two, 1),
        "gain": round(two / one, 3),
        "spread": round(max(spread), 3),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=80)
    parser.add_argument("--no-gate", action="store_true")
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    different = compare_trials(arguments.trials)
    print(f"trials differ from the calling process's on: {', '.join(different) or 'none'}", flush=True)
    results = {"trials": arguments.trials, "different": different}
    for name, build in (
        ("processes", lambda workers: ProcessExecutor(workers, oversubscribe=True)),
        ("ray", lambda workers: RayExecutor(workers, oversubscribe=True)),
    ):
        if name == "ray":
            import ray

            # One runtime for both, so that the rounds can alternate.
            ray.init(
                address="local",
                num_cpus=3,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
            )
        results[name] = throughput(build, arguments.jobs, arguments.rounds)
        print(f"{name}: {results[name]}", flush=True)
    arguments.results.write_text(json.dumps(results, indent=1) + "\n")
    slow = [name for name in ("processes", "ray") if results[name]["gain"] < 1.7]
    raise SystemExit(1 if different or (slow and not arguments.no_gate) else 0)


if __name__ == "__main__":
    main()
