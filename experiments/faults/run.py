"""Scripted faults on a Ray cluster of several raylets; the run must end as the run without faults does.

    python experiments/faults/run.py [--trials 600] [--workers 90] [--raylets 12] [--drivers 5]

A head without processors and three nodes of one processor each, all on this machine. While a search runs,
this script kills workers, raylets (each replaced by a new node, so nodes leave and join) and the driver
(started again) with SIGKILL at trial numbers drawn from a seed. Besides, 5 % of the candidates hang, 5 %
raise, 2 % return NaN and 1 % kill their own worker. The trials, their states and measurements, and the front
must be those of a run in one process in which the same candidates fail. Exit status 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
from ray.cluster_utils import Cluster

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from driver import WORKERS  # noqa: E402
from driver import misbehavior  # noqa: E402

from automl.core.errors import LedgerError  # noqa: E402
from automl.core.rng import child_rng  # noqa: E402
from automl.ledger import read_ledger  # noqa: E402

STALL_S = 180.0


def identity(trial):
    """Return what has to be equal; the reason of a failure may be another: a hang is no exception."""
    measured = None if trial.measurement is None else trial.measurement.to_json()["metrics"]
    return [trial.number, trial.candidate.json, str(trial.state), measured, trial.origin]


def start(folder, address, trials):
    log = (folder / "driver.log").open("a")
    command = [sys.executable, str(HERE / "driver.py"), str(folder), address, str(trials), "journal"]
    return subprocess.Popen(command, stdout=log, stderr=log)


def recorded(folder):
    try:
        return read_ledger(folder / "ledger.journal").trials
    except LedgerError:
        return ()


def lines(folder):
    file = folder / "ledger.journal"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def actors(cluster):
    """Return the worker processes of this cluster that hold an actor."""
    found = []
    for node in cluster.worker_nodes:
        for process in node.live_processes():
            try:
                children = psutil.Process(process[1].pid).children()
                found += [c for c in children if "_Actor" in " ".join(c.cmdline())]
            except psutil.NoSuchProcess:
                continue
    return found


class Chaos:
    """Holds the cluster and the driver, and breaks them."""

    def __init__(self, folder, trials):
        self.folder, self.trials = folder, trials
        self.cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
        )
        for _ in range(WORKERS):
            self.join()
        self.driver = start(folder, self.cluster.address, trials)
        self.done = Counter()

    def worker(self, rng):
        found = actors(self.cluster)
        if not found:
            return False
        try:
            found[int(rng.integers(len(found)))].kill()
        except psutil.NoSuchProcess:
            return False
        return True

    def raylet(self, rng):
        nodes = sorted(self.cluster.worker_nodes, key=lambda n: n.unique_id)
        self.cluster.remove_node(nodes[int(rng.integers(len(nodes)))], allow_graceful=False)
        self.join()
        return True

    def join(self):
        """Add a node; on a busy machine a raylet may miss its own deadline, then another one is started."""
        for _ in range(10):
            try:
                self.cluster.add_node(num_cpus=1, wait=False)
                return
            except Exception as error:  # noqa: BLE001  Ray raises it bare
                print(f"a node did not come up: {error}", file=sys.stderr)
        raise SystemExit("no node comes up on this machine")

    def driver_process(self, rng):
        self.driver.kill()
        self.driver.wait()
        self.driver = start(self.folder, self.cluster.address, self.trials)
        return True

    def run(self, script, rng):
        """Break things when the ledger has as many lines as the script says; return the stalls seen."""
        pending, gaps, moved = sorted(script), 0, (0, time.monotonic())
        while self.driver.poll() is None:
            before = time.monotonic()
            time.sleep(0.1)
            gaps += time.monotonic() - before > 3.0
            count, now = lines(self.folder), time.monotonic()
            moved = (count, now) if count != moved[0] else moved
            if now - moved[1] > STALL_S:
                raise SystemExit(f"nothing was recorded for {STALL_S:g} s, at {count} lines")
            if pending and count >= pending[0][0]:
                _, kind = pending[0]
                if getattr(self, kind)(rng):
                    self.done[kind] += 1
                    pending.pop(0)
        return gaps

    def close(self):
        if self.driver.poll() is None:
            self.driver.kill()
        self.cluster.shutdown()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=600)
    parser.add_argument("--workers", type=int, default=90)
    parser.add_argument("--raylets", type=int, default=12)
    parser.add_argument("--drivers", type=int, default=5)
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    arguments = parser.parse_args()
    rng = child_rng(5, "faults")
    kinds = ["worker"] * arguments.workers + ["raylet"] * arguments.raylets
    kinds += ["driver_process"] * arguments.drivers
    script = [(int(rng.integers(5, int(0.95 * arguments.trials))), kind) for kind in kinds]
    with tempfile.TemporaryDirectory() as place:
        reference, folder = Path(place) / "reference", Path(place) / "run"
        reference.mkdir()
        folder.mkdir()
        start(reference, "inline", arguments.trials).wait()
        chaos = Chaos(folder, arguments.trials)
        began = time.monotonic()
        try:
            gaps = chaos.run(script, rng)
        finally:
            chaos.close()
        seconds = time.monotonic() - began
        wanted, got = recorded(reference), recorded(folder)
        outcomes = [json.loads((f / "outcome.json").read_text()) for f in (reference, folder)]
        log = (folder / "driver.log").read_text()
    candidates = Counter(misbehavior(t.candidate) for t in got[1:])
    results = {
        "trials": len(got),
        "recorded_once": len({t.candidate.digest for t in got}) == len(got) == arguments.trials,
        "different": sum(identity(a) != identity(b) for a, b in zip(wanted, got, strict=False)),
        "same_front": outcomes[0]["front"] == outcomes[1]["front"],
        "stopped_by": outcomes[1]["stopped_by"],
        "killed": dict(chaos.done),
        "candidates": {str(k): n for k, n in candidates.items() if k},
        "faults": sum(chaos.done.values()) + sum(n for k, n in candidates.items() if k),
        "reasons": dict(Counter((t.failure or "").partition(",")[0] for t in got if t.failure)),
        "pauses_of_the_machine": gaps,
        "seconds": round(seconds),
    }
    print(json.dumps(results, indent=1), log[-2000:] if results["different"] else "")
    arguments.results.write_text(json.dumps(results, indent=1) + "\n")
    good = results["recorded_once"] and not results["different"] and results["same_front"]
    sys.exit(0 if good and results["stopped_by"] == "trials" else 1)


if __name__ == "__main__":
    main()
