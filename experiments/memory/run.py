"""Measure the memory of uniform candidates in two sittings, and how far the sittings differ.

    python experiments/memory/run.py [--model efficientnet_lite0] [--threads 1] [--processes 6]

The figures of a row: memory while serving, its peak while loading, the weights as stored, and the difference
of the two sittings' medians.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from automl.config import make_config
from automl.evaluators.memory import measure_memory
from automl.searchspaces.builders.precision import assignment_of
from automl.stages.evaluate import CandidateEvaluator
from automl.stages.events import silent
from automl.stages.prepare import prepare
from automl.stages.prepare import timing_inputs
from automl.stages.problem import uniform_candidates

HERE = Path(__file__).parent


def rows_of(model, target, threads, processes, folder):
    # A size budget offers the options that are stored in fewer than 8 bits.
    settings = {"model": model, "target": target, "threads": threads, "budget": "size=0.9x"}
    bench = prepare(make_config({**settings, "effort": "quick"}), folder / target, folder / "cache", silent)
    evaluator = CandidateEvaluator(bench)
    rows = []
    try:
        for name, candidate in uniform_candidates(bench.space):
            _, float_type = assignment_of(candidate, bench.space)
            file = evaluator.write(candidate)
            start = time.monotonic()
            sittings = [
                measure_memory(bench.target, file, float_type, timing_inputs(bench), processes=processes)
                for _ in range(2)
            ]
            seconds = (time.monotonic() - start) / (2 * processes)
            file.unlink()
            first, second = (s["memory_bytes"].value for s in sittings)
            row = {
                "target": target,
                "candidate": name,
                "weights_bytes": evaluator.counts(candidate)["size_bytes"].value,
                "sittings": [s.to_json()["metrics"] for s in sittings],
                "difference": abs(first - second) / first,
                "seconds_per_process": seconds,
            }
            rows.append(row)
            print(line(row), flush=True)
    finally:
        bench.target.close()
    return rows


def line(row):
    first = row["sittings"][0]
    memory, peak = first["memory_bytes"], first["memory_peak_bytes"]
    megabytes = [memory["value"], memory["low"], memory["high"], peak["value"], peak["low"], peak["high"]]
    value, low, high, top, least, most = (f"{m / 1e6:.2f}" for m in megabytes)
    stored, name = f"{row['weights_bytes'] / 1e6:.2f}", row["candidate"].removeprefix("uniform ")
    return (
        f"| {row['target']} | {name} | {stored} | {value} ({low} to {high}) "
        f"| {top} ({least} to {most}) | {row['difference']:.2%} |"
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--targets", default="openvino,onnxruntime")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--processes", type=int, default=6)
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        rows = [
            row
            for target in given.targets.split(",")
            for row in rows_of(given.model, target, given.threads, given.processes, Path(name))
        ]
    given.results.write_text(
        json.dumps({"model": given.model, "threads": given.threads, "rows": rows}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
