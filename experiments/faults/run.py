"""Scripted faults on a Ray cluster of several hosts; the run must end as the run without faults does.

    python experiments/faults/run.py [--trials 500] [--workers 105] [--raylets 10] [--cuts 8] [--disks 8]
        [--drivers 6]

Needs root. A head without processors and three hosts of one processor each, network namespaces of this
machine with a disk of their own. While a search runs, this script kills workers, raylets (the host then joins
again) and the driver (started again) with SIGKILL, cuts hosts off the network until the cluster has given
them up, and fills their disks, at trial numbers drawn from a seed. Besides, 5 % of the candidates hang, 5 %
raise, 2 % return NaN and 1 % kill their own worker. The trials, their states and measurements, and the front
must be those of a run in one process in which the same candidates fail. Exit status 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from driver import WORKERS  # noqa: E402
from driver import misbehavior  # noqa: E402
from hosts import SETTINGS  # noqa: E402
from hosts import Cluster  # noqa: E402

from automl.core.errors import LedgerError  # noqa: E402
from automl.core.rng import child_rng  # noqa: E402
from automl.ledger import read_ledger  # noqa: E402

STALL_S = 300.0
#: Seconds between two faults: a worker needs a moment to start again.
PAUSE_S = 1.0
#: Seconds a host is cut off, longer than the cluster takes to give it up, and a disk is full.
CUT_S, FULL_S = 30.0, 15.0


def identity(trial):
    """Return what has to be equal; the reason of a failure may be another: a hang is no exception."""
    measured = None if trial.measurement is None else trial.measurement.to_json()["metrics"]
    return [trial.number, trial.candidate.json, str(trial.state), measured, trial.origin]


def start(folder, address, trials):
    log = (folder / "driver.log").open("a")
    command = [sys.executable, str(HERE / "driver.py"), str(folder), address, str(trials), "journal"]
    environment = {**os.environ, **SETTINGS}
    return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


def recorded(folder):
    try:
        return read_ledger(folder / "ledger.journal").trials
    except LedgerError:
        return ()


def lines(folder):
    file = folder / "ledger.journal"
    return file.read_bytes().count(b"\n") if file.exists() else 0


class Chaos:
    """Holds the cluster and the driver, and breaks them."""

    def __init__(self, place, folder, trials):
        self.folder, self.trials = folder, trials
        self.cluster = Cluster(place, WORKERS)
        self.done, self.ended_by_error = Counter(), []
        self.driver = start(folder, self.cluster.address, trials)

    def host(self, rng):
        return self.cluster.hosts[int(rng.integers(len(self.cluster.hosts)))]

    def worker(self, rng):
        return self.host(rng).kill_worker(rng)

    def raylet(self, rng):
        return self.host(rng).kill_raylet()

    def cut(self, rng):
        return self.host(rng).cut(CUT_S)

    def disk(self, rng):
        return self.host(rng).fill(FULL_S)

    def driver_process(self, rng):
        self.driver.kill()
        self.driver.wait()
        self.driver = start(self.folder, self.cluster.address, self.trials)
        return True

    def finished(self):
        """Return whether the search came to its end; one that ended with an error is continued."""
        if self.driver.poll() is None:
            return False
        told = self.folder / "outcome.json"
        outcome = json.loads(told.read_text()) if told.exists() else {"stopped_by": "error"}
        if outcome["stopped_by"] != "error":
            return True
        self.ended_by_error.append(outcome.get("error") or f"exit status {self.driver.returncode}")
        told.unlink(missing_ok=True)
        if len(self.ended_by_error) > 10:
            raise SystemExit(f"the driver ends again and again: {self.ended_by_error}")
        self.driver = start(self.folder, self.cluster.address, self.trials)
        return False

    def run(self, script, rng):
        """Break things when the ledger has as many lines as the script says; return the stalls seen."""
        pending, gaps, moved, broken = sorted(script), 0, (0, time.monotonic()), 0.0
        while not self.finished():
            before = time.monotonic()
            time.sleep(0.1)
            slept = time.monotonic() - before
            if slept > 3.0:
                gaps += 1
                moved = (moved[0], moved[1] + slept)  # the machine stood still, not the run
            self.cluster.tend()
            count, now = lines(self.folder), time.monotonic()
            moved = (count, now) if count != moved[0] else moved
            if now - moved[1] > STALL_S:
                raise SystemExit(f"nothing was recorded for {STALL_S:g} s, at {count} lines")
            if pending and count >= pending[0][0] and now - broken > PAUSE_S:
                _, kind = pending[0]
                if getattr(self, kind)(rng):
                    broken = now
                    self.done[kind] += 1
                    pending.pop(0)
                    print(count, kind, flush=True)
        return gaps

    def close(self):
        if self.driver.poll() is None:
            self.driver.kill()
        self.cluster.close()


def compared(reference, folder, chaos, trials):
    """Return what the study found."""
    wanted, got = recorded(reference), recorded(folder)
    outcomes = [json.loads((f / "outcome.json").read_text()) for f in (reference, folder)]
    candidates = Counter(misbehavior(t.candidate) for t in got[1:])
    failed = [t for t in got if t.failure]
    return {
        "trials": len(got),
        "recorded_once": len({t.candidate.digest for t in got}) == len(got) == trials,
        "different": sum(identity(a) != identity(b) for a, b in zip(wanted, got, strict=False)),
        "same_front": outcomes[0]["front"] == outcomes[1]["front"],
        "stopped_by": outcomes[1]["stopped_by"],
        "scripted": dict(chaos.done),
        "candidates": {str(k): n for k, n in candidates.items() if k},
        "faults": sum(chaos.done.values()) + sum(n for k, n in candidates.items() if k),
        "reasons": dict(Counter((t.failure or "").partition(",")[0].partition(";")[0] for t in failed)),
        "sessions_ended_by_error": chaos.ended_by_error,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--workers", type=int, default=105)
    parser.add_argument("--raylets", type=int, default=10)
    parser.add_argument("--cuts", type=int, default=8)
    parser.add_argument("--disks", type=int, default=8)
    parser.add_argument("--drivers", type=int, default=6)
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    arguments = parser.parse_args()
    rng = child_rng(5, "faults")
    wanted = {
        "worker": arguments.workers,
        "raylet": arguments.raylets,
        "cut": arguments.cuts,
        "disk": arguments.disks,
        "driver_process": arguments.drivers,
    }
    kinds = [kind for kind, count in wanted.items() for _ in range(count)]
    script = [(int(rng.integers(5, int(0.95 * arguments.trials))), kind) for kind in kinds]
    with tempfile.TemporaryDirectory(prefix="f", ignore_cleanup_errors=True) as name:
        place = Path(name)
        reference, folder = place / "reference", place / "run"
        reference.mkdir()
        folder.mkdir()
        start(reference, "inline", arguments.trials).wait()
        chaos = Chaos(place, folder, arguments.trials)
        began = time.monotonic()
        try:
            gaps = chaos.run(script, rng)
        except BaseException:
            print((folder / "driver.log").read_text()[-4000:], (place / "ray.log").read_text()[-4000:])
            raise
        finally:
            chaos.close()
        results = compared(reference, folder, chaos, arguments.trials)
        results["pauses_of_the_machine"] = gaps
        results["seconds"] = round(time.monotonic() - began)
        log = (folder / "driver.log").read_text()
    print(json.dumps(results, indent=1), log[-3000:] if results["different"] else "")
    arguments.results.write_text(json.dumps(results, indent=1) + "\n")
    good = results["recorded_once"] and not results["different"] and results["same_front"]
    all_done = dict(chaos.done) == {kind: count for kind, count in wanted.items() if count}
    sys.exit(0 if good and all_done and results["stopped_by"] == "trials" else 1)


if __name__ == "__main__":
    main()
