"""Check on the serving runtime that what the roofline strikes would not have been faster.

    python experiments/roofline/prefilter.py prepare --work FOLDER
    python experiments/roofline/prefilter.py measure --work FOLDER [--threads 2] [--repeats 6] [--sittings 5]

MiniLM at 128 tokens, batch 8: the untouched model and one with every matrix layer in a weight-only option are
profiled in turn. For every site the time of the option is put over that of float, struck or not.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import numpy as np

from automl.config import make_config
from automl.core.rng import child_rng
from automl.evaluators.roofline import Roofline
from automl.evaluators.roofline_filter import hopeless_options
from automl.searchspaces.graph import ModelGraph
from automl.stages.evaluate import CandidateEvaluator
from automl.stages.events import silent
from automl.stages.prepare import prepare as prepare_bench
from automl.stages.problem import uniform_candidates
from automl.stages.profile_model import measured_times
from automl.targets.cpu_device import device_to_json
from automl.targets.cpu_device import measure_cpu
from automl.targets.table import make_target

HERE = Path(__file__).parent
RESULTS = HERE / "prefilter.json"
LENGTH = 128
OPTIONS = ("fp", "w8", "w4g64")


def prepare(work):
    # Named options are all kept, so that the struck ones can be timed.
    settings = {"model": "minilm_l6", "input": (f"1x{LENGTH}",) * 2, "options": OPTIONS[1:]}
    config = make_config({**settings, "calibration": 16, "evaluation": 8, "effort": "quick"})
    bench = prepare_bench(config, work / "run", work / "cache", silent)
    evaluator = CandidateEvaluator(bench)
    for name, candidate in uniform_candidates(bench.space):
        option, float_type = name.removeprefix("uniform ").split(", ")
        if float_type == "f32":
            evaluator.write(candidate).rename(work / f"prefilter-{option}.onnx")
            print(option, flush=True)
    legality = {"options": bench.legality.options, "ties": bench.legality.ties}
    (work / "prefilter.json").write_text(json.dumps(legality))
    (work / "prefilter-graph.json").write_text(bench.traced.graph.to_json())
    bench.target.close()


def measure(work, threads, repeats, count):
    graph = ModelGraph.from_json((work / "prefilter-graph.json").read_text())
    legality = json.loads((work / "prefilter.json").read_text())
    device, target = measure_cpu(threads), make_target("openvino", threads=threads)
    rows = []
    for batch in (1, 8):
        roofline = Roofline(graph, device, batch=batch)
        found = hopeless_options(roofline, legality["options"], legality["ties"], ("f32",))
        struck = {(site, option) for site, option, _ in found}
        ids = child_rng(0, "prefilter").integers(1, 1000, (batch, LENGTH))
        inputs, table = [ids, np.ones_like(ids)], roofline.table({})
        times = {option: [] for option in OPTIONS}
        for _ in range(count):
            for option in OPTIONS:
                file = work / f"prefilter-{option}.onnx"
                executed = target.profile(file, inputs, float_type="f32", repeats=repeats)
                times[option].append(measured_times(graph, executed, table))
        for priced in table:
            name, site = priced.operator.name, priced.operator.site
            if site is None or graph.site(site).op != "linear" or name not in times["fp"][0]:
                continue
            for option in OPTIONS[1:]:
                pairs = zip(times[option], times["fp"], strict=True)
                ratios = [a[name] / b[name] for a, b in pairs if name in a and name in b]
                if ratios:
                    ratio = statistics.median(ratios)
                    row = {"batch": batch, "site": site, "option": option, "ratio": ratio}
                    rows.append({**row, "struck": (site, option) in struck})
    target.close()
    RESULTS.write_text(json.dumps({"device": device_to_json(device), "rows": rows}) + "\n")
    show(rows)


def show(rows):
    print("| batch | option | struck | sites | least ratio | median ratio |\n|---|---|---|---|---|---|")
    for batch in (1, 8):
        for option in OPTIONS[1:]:
            for struck in (True, False):
                same = [r for r in rows if (r["batch"], r["option"], r["struck"]) == (batch, option, struck)]
                if same:
                    ratios = [r["ratio"] for r in same]
                    shown = f"{min(ratios):.2f} | {statistics.median(ratios):.2f}"
                    print(f"| {batch} | {option} | {'yes' if struck else 'no'} | {len(same)} | {shown} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=["prepare", "measure"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=6)
    parser.add_argument("--sittings", type=int, default=5)
    given = parser.parse_args()
    if given.step == "prepare":
        prepare(given.work)
    else:
        measure(given.work, given.threads, given.repeats, given.sittings)


if __name__ == "__main__":
    main()
