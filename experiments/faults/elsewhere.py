"""A search whose workers see neither the run folder nor the cache nor the model: everything travels.

    python experiments/faults/elsewhere.py [--trials 12]

Needs root. The run folder, the cache, the model file and the data lie on a disk that each host of the cluster
has its own empty one instead of. The same search then runs on one worker in this process; quality has to be
the same. Exit status 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]

import torch  # noqa: E402
from hosts import SETTINGS  # noqa: E402
from hosts import Cluster  # noqa: E402

from automl.ledger import read_ledger  # noqa: E402
from tests.digits import build  # noqa: E402
from tests.digits import write_data  # noqa: E402

HOSTS = 2


def search(place, name, trials, *options):
    line = [sys.executable, "-m", "automl.cli.app", "search", str(place / "digits.pt2")]
    line += [
        "--data",
        str(place / "digits.npz"),
        "--run",
        str(place / name),
        "--cache",
        str(place / f"{name}-cache"),
    ]
    line += ["--trials", str(trials), "--strategy", "random", "--option", "w8a8", *options]
    began = time.monotonic()
    done = subprocess.run(line, env={**os.environ, **SETTINGS}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return round(time.monotonic() - began, 1)


def quality(place, name):
    trials = read_ledger(place / name / "ledger.journal", study_name=name).trials
    return {t.candidate.digest: t.measurement["kl"].value for t in trials if t.measurement}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--results", type=Path, default=HERE / "elsewhere.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="f", ignore_cleanup_errors=True) as name:
        cluster = Cluster(Path(name), HOSTS)
        place = cluster.disk
        try:
            model, example = build()
            torch.export.save(torch.export.export(model, (example,)), place / "digits.pt2")
            write_data(place / "digits.npz")
            ray = ["--executor", "ray", "--ray-address", cluster.address, "--workers", str(HOSTS)]
            seconds = search(place, "there", arguments.trials, *ray)
            living = [host for host in cluster.hosts if host.process.poll() is None]
            seen = [list(Path(f"/proc/{host.process.pid}/root{place}").iterdir()) for host in living]
            if not living or any(seen):
                raise SystemExit(f"{len(living)} hosts are up, and see of the driver's disk: {seen}")
        finally:
            cluster.close()
        search(place, "here", arguments.trials)
        there, here = quality(place, "there"), quality(place, "here")
    shared = there.keys() & here.keys()
    row = {
        "hosts": HOSTS,
        "trials": len(there),
        "same_candidates": len(shared),
        "largest_difference_of_kl": max(abs(there[d] - here[d]) for d in shared),
        "seconds": seconds,
    }
    print(json.dumps(row, indent=1))
    arguments.results.write_text(json.dumps(row, indent=1) + "\n")
    # Some of the candidates are seeds that follow from measured latency, which no two runs share.
    sys.exit(0 if len(shared) > 1 and row["largest_difference_of_kl"] < 1e-5 else 1)


if __name__ == "__main__":
    main()
