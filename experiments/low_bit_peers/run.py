"""Quality at given bits: allocate by Fisher damage, repair, evaluate; one row of results.json at a time.

python experiments/low_bit_peers/run.py resnet56 --calibration train --budgets 3.0 3.5 4.0
python experiments/low_bit_peers/run.py lite0 --calibration hold --budgets 4.0 4.5 5.0 6.0
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import time
from pathlib import Path

import bench
import numpy as np
import torch

from automl.searchspaces.trace import trace_model
from automl.transforms.calibrate import Calibration
from automl.transforms.calibrate import calibrate
from automl.transforms.plan import QuantizationPlan
from automl.transforms.plan import QuantizationRules
from automl.transforms.quantize import Quantizer
from automl.transforms.repair import repair_plan

HERE = Path(__file__).parent
BITS = {"w2a8": 2, "w3a8": 3, "w4a8": 4, "w6a8": 6, "w8a8": 8}


def data(model, how):
    """(calibration, evaluation) samples; no image is in both."""
    if model == "resnet56":
        return bench.cifar("train_jpeg", 512), bench.cifar("test_jpeg", 5000)
    everything = bench.imagenet()
    if how == "crops":
        return bench.crops(128), everything
    order = np.random.default_rng(0).permutation(len(everything))
    return everything.take(np.sort(order[:128])), everything.take(np.sort(order[128:]))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", choices=["resnet56", "lite0"])
    parser.add_argument("--calibration", choices=["train", "hold", "crops"], default="train")
    parser.add_argument("--budgets", type=float, nargs="*", default=[])
    parser.add_argument("--uniform", nargs="*", default=[])
    parser.add_argument("--options", nargs="*", default=list(BITS))
    parser.add_argument("--cache", type=Path, default=Path("/tmp/low_bit_peers"))
    parser.add_argument("--at-once", type=int, default=1, help="plans finished at the same time, by forking")
    parser.add_argument("--fisher", type=int, default=128, help="samples of the damage estimate")
    parser.add_argument("--max-rows", type=int, default=32768)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.cache.mkdir(exist_ok=True)
    start = time.time()

    def log(*words):
        print(f"{time.time() - start:6.0f}", *words, flush=True)

    module, example = getattr(bench, arguments.model)()
    traced = trace_model(module, example)
    calibration_set, evaluation = data(arguments.model, arguments.calibration)
    stem = arguments.cache / f"{arguments.model}_{arguments.calibration}"
    file = stem.with_suffix(".npz")
    if not file.exists():
        calibrate(traced, calibration_set, batch=16, max_rows=arguments.max_rows).save(file)
    quantizer = Quantizer(traced, Calibration.load(file), QuantizationRules())
    log("calibrated")
    reference = stem.with_suffix(".npy")
    if not reference.exists():
        runner = bench.PlanRunner(traced, QuantizationPlan({}, {}))
        np.save(reference, runner.logits(evaluation).numpy())
    floats = torch.from_numpy(np.load(reference))
    log("float", bench.accuracy(floats, evaluation))
    sites = traced.graph.sites
    plans = [(name, dict.fromkeys((s.name for s in sites), name)) for name in arguments.uniform]
    if arguments.budgets:
        file = stem.with_suffix(".json")
        if not file.exists():
            weights = {s.name: {o: quantizer.weight(s.name, o) for o in arguments.options} for s in sites}
            damage = bench.fisher_damage(traced, calibration_set, weights, arguments.fisher)
            file.write_text(json.dumps(damage, indent=1))
        damage = json.loads(file.read_text())
        log("damage")
        for budget in arguments.budgets:
            found = bench.allocate(sites, damage, BITS, budget)
            if found is None:
                log(f"no configuration fits {budget} bits")
            else:
                plans.append((f"budget {budget}", found))
    jobs = []
    for name, precisions in plans:
        if arguments.at_once > 1:
            while len(jobs) >= arguments.at_once:
                os.waitpid(jobs.pop(0), 0)
            child = os.fork()
            if child:
                jobs.append(child)
                continue
        finish(arguments, traced, quantizer, name, precisions, (calibration_set, evaluation, floats), log)
        if arguments.at_once > 1:
            os._exit(0)
    for job in jobs:
        os.waitpid(job, 0)


def finish(arguments, traced, quantizer, name, precisions, sets, log):
    """Repair one plan, evaluate it before and after, add its row."""
    calibration_set, evaluation, floats = sets
    bits = bench.average_bits(traced.graph.sites, precisions, BITS)
    began = time.process_time()
    plan = quantizer.plan(precisions)
    plan = repair_plan(quantizer, plan, calibration_set, batch=16, max_rows=arguments.max_rows)
    seconds = time.process_time() - began
    log(name, "repaired", round(seconds), "s of CPU time")
    logits = bench.PlanRunner(traced, plan).logits(evaluation)
    row = {
        "model": arguments.model,
        "calibration": arguments.calibration,
        "plan": name,
        "bits": round(bits, 3),
        "top1": round(bench.accuracy(logits, evaluation), 2),
        "float_top1": round(bench.accuracy(floats, evaluation), 2),
        "kl": round(bench.kl(floats, logits), 4),
        "agreement": round(100 * float((logits.argmax(-1) == floats.argmax(-1)).float().mean()), 2),
        "images": len(evaluation),
        "repair_cpu_s": round(seconds),
        "counts": {o: list(precisions.values()).count(o) for o in BITS},
    }
    log(json.dumps(row))
    with (HERE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        results = HERE / "results.json"
        rows = json.loads(results.read_text()) if results.exists() else []
        key = ("model", "calibration", "plan")
        rows = [r for r in rows if any(r[k] != row[k] for k in key)] + [row]
        results.write_text(json.dumps(sorted(rows, key=lambda r: [str(r[k]) for k in key]), indent=1) + "\n")


if __name__ == "__main__":
    main()
