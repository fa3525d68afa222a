"""One search whose candidates misbehave, as a process that can be killed.

    python experiments/faults/driver.py FOLDER ADDRESS TRIALS STORAGE

ADDRESS ``inline`` evaluates in this process and turns what would hang or kill into an exception: the
reference. STORAGE is the URL of a database, or ``journal``. What a candidate does is a function of it alone.
On a node each evaluation writes a file in the folder that FAULTS_DISK names, as a cache does.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

from automl.core.budget import parse_budgets
from automl.core.candidate import Candidate
from automl.core.errors import EvaluationError
from automl.core.outcome import StopRule
from automl.core.rng import child_seed
from automl.engine import SearchRun
from automl.engine import run_search
from automl.execution.local_executor import InlineExecutor
from automl.ledger import Ledger
from automl.strategies.base import Problem
from automl.strategies.table import make_strategy
from automl.testing.simulated_target import OBJECTIVES
from automl.testing.simulated_target import build_target
from automl.testing.simulated_target import simulate

SETTINGS = {"layers": 16, "seed": 3, "noise": 0.05}
BUDGETS = ("latency=0.8x", "size=40KB")
SEED = 11
WORKERS = 3
#: Longer than the cluster takes to find out that a node is gone.
TIMEOUT_S = 25.0
#: Share of the candidates that misbehave, by kind.
SHARES = {"hang": 0.05, "raise": 0.05, "nan": 0.02, "kill": 0.01}


def misbehavior(candidate):
    """Return what a candidate does instead of being measured, or None."""
    number = int.from_bytes(hashlib.sha256(f"faults/{candidate.digest}".encode()).digest()[:8], "big") / 2**64
    for kind, share in SHARES.items():
        if number < share:
            return kind
        number -= share
    return None


def evaluate(target, payload, *, tame):
    """Measure a candidate or misbehave; ``tame`` raises where the other would hang or kill the worker."""
    candidate = Candidate.of(payload["candidate"])
    kind = None if candidate == target.space.default else misbehavior(candidate)
    if kind == "raise" or (tame and kind in {"hang", "kill"}):
        raise EvaluationError("the layer refuses its scale")
    if kind == "hang":
        time.sleep(3600)
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if not tame:
        scratch = Path(os.environ["FAULTS_DISK"]) / candidate.digest
        scratch.write_bytes(bytes(65536))
        scratch.unlink()
        time.sleep(0.05)
    measured = simulate(target, payload)
    if kind == "nan":
        measured["metrics"]["kl"]["value"] = math.nan
    return measured


def search(folder, address, trials, storage):
    target = build_target(**SETTINGS)
    where = folder / "ledger.journal" if storage == "journal" else storage
    ledger = Ledger.open(
        where,
        study_name=folder.name,
        objectives=OBJECTIVES,
        space=target.space,
        meta={"seed": SEED},
        lock=folder / "ledger.lock",
    )
    if address == "inline":
        executor = InlineExecutor()
    else:
        from automl.execution.ray_executor import RayExecutor

        executor = RayExecutor(WORKERS, address, timeout_s=TIMEOUT_S)
    executor.start(partial(build_target, **SETTINGS), partial(evaluate, tame=address == "inline"))
    run = SearchRun(
        lambda budgets: make_strategy(
            "evolutionary", Problem(target.space, OBJECTIVES, budgets, child_seed(SEED, "strategy"))
        ),
        executor,
        ledger,
        OBJECTIVES,
        target.space.default,
        budgets=parse_budgets(BUDGETS),
        seed=SEED,
        stop=StopRule(trials=trials),
    )
    try:
        return run_search(run)
    finally:
        executor.close()
        ledger.close()


def main():
    folder, address, trials, storage = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
    outcome = search(folder, address, trials, storage)
    result = {
        "front": [t.number for t in outcome.front],
        "best": None if outcome.best is None else outcome.best.number,
        "stopped_by": str(outcome.stopped_by),
        "error": None if outcome.error is None else str(outcome.error),
        "notes": list(outcome.notes),
    }
    (folder / "outcome.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
