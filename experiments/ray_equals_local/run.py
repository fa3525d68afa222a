"""Same seed, same trials on every executor; and what two one-thread workers gain over one.

    flock LOCK python experiments/ray_equals_local/run.py [--jobs 24] [--rounds 3]

The trials are compared on the simulated target. The throughput is that of quality evaluations as a search
makes them: random mixed candidates of EfficientNet-Lite0 are written, compiled by OpenVINO with one thread
and
run on 64 images, in evaluations per minute once every worker is warm. The rounds of one and two workers take
the same candidates and alternate, and the medians are compared, because other work on the machine disturbs
both.
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
from workload import Workload  # noqa: E402

from automl.execution.local_executor import ProcessExecutor  # noqa: E402
from automl.execution.ray_executor import RayExecutor  # noqa: E402

#: Wanted gain of a second worker.
WANTED = 1.7


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


def jobs_per_minute(executor, jobs):
    """Return jobs a minute and the answers by job name."""
    for job in jobs:
        executor.submit(job)
    start = time.perf_counter()
    done = list(executor.completions())
    seconds = time.perf_counter() - start
    failures = [c.failure for c in done if c.failure]
    if failures:
        raise SystemExit(f"a job failed: {failures[0]}")
    return 60.0 * len(jobs) / seconds, {c.key: c.value for c in done}


def throughput(name, build, workload, jobs, rounds):
    """Return the medians of jobs a minute for one and two workers, measured in alternation.

    The workers of a measurement are the only ones then, for a worker that waits keeps its core.
    """
    rates = {1: [], 2: []}
    for number in range(rounds):
        answers = []
        for workers, found in rates.items():
            executor = build(workers)
            try:
                workload.start(executor, f"{name}-{workers}-{number}")
                jobs_per_minute(executor, workload.jobs("warm", 2 * workers))
                rate, values = jobs_per_minute(executor, workload.jobs(f"round{number}", jobs))
            finally:
                executor.close()
            found.append(rate)
            answers.append(values)
        if answers[0] != answers[1]:
            raise SystemExit("one and two workers measured different qualities")
    one, two = (statistics.median(rates[workers]) for workers in (1, 2))
    gains = [round(b / a, 3) for a, b in zip(rates[1], rates[2], strict=True)]
    return {"one": round(one, 1), "two": round(two, 1), "gain": round(two / one, 3), "gains": gains}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=80)
    parser.add_argument("--no-gate", action="store_true")
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    different = compare_trials(arguments.trials)
    print(f"trials differ from the calling process's on: {', '.join(different) or 'none'}", flush=True)
    results = {"trials": arguments.trials, "different": different, "jobs": arguments.jobs}
    with tempfile.TemporaryDirectory() as folder:
        results |= measure(Workload(Path(folder)), arguments)
    arguments.results.write_text(json.dumps(results, indent=1) + "\n")
    slow = [name for name in ("processes", "ray") if results[name]["gain"] < WANTED]
    raise SystemExit(1 if different or (slow and not arguments.no_gate) else 0)


def measure(workload, arguments):
    """Return the throughput of either kind of worker."""
    results = {}
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
        results[name] = throughput(name, build, workload, arguments.jobs, arguments.rounds)
        print(f"{name}: {results[name]}", flush=True)
    return results


if __name__ == "__main__":
    main()
