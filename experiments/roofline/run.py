"""Hold the roofline of this processor against the serving runtime's own times of every site.

    python experiments/roofline/run.py prepare --work FOLDER
    python experiments/roofline/run.py measure --work FOLDER [--threads 2] [--repeats 4] [--sittings 5]
    python experiments/roofline/run.py table [--results FILE]

``prepare`` traces and exports each model at each length, ``measure`` measures the processor and profiles
every (model, length, batch) in several sittings and writes ``results.json``, ``table`` prints what the README
shows.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import numpy as np

from automl.core.rng import child_rng
from automl.evaluators.roofline import Roofline
from automl.evaluators.roofline_fit_math import fit_factors
from automl.evaluators.roofline_fit_math import spearman
from automl.models.loading import load_model
from automl.searchspaces.graph import ModelGraph
from automl.searchspaces.trace import trace_model
from automl.stages.profile_model import measured_times
from automl.targets.cpu_device import device_to_json
from automl.targets.cpu_device import measure_cpu
from automl.targets.onnx_export import export_onnx
from automl.targets.qdq import apply_plan
from automl.targets.table import make_target
from automl.transforms.plan import QuantizationPlan

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
MODELS = {"minilm_l6": 2, "smollm2_135m": 1}
LENGTHS = (1, 16, 128)
BATCHES = (1, 8)
FEWEST_TOKENS = 1000


def prepare(work):
    work.mkdir(parents=True, exist_ok=True)
    for name, inputs in MODELS.items():
        for length in LENGTHS:
            model = load_model(name, input_shapes=((1, length),) * inputs)
            traced = trace_model(model.module, model.example_inputs)
            graph = apply_plan(export_onnx(traced), QuantizationPlan({}, {}), "openvino")
            (work / f"{name}-{length}.onnx").write_bytes(graph.SerializeToString())
            (work / f"{name}-{length}.json").write_text(traced.graph.to_json())
            print(name, length, len(traced.graph.sites), flush=True)


def tokens(name, batch, length):
    ids = child_rng(0, name, length).integers(1, FEWEST_TOKENS, (batch, length))
    return [ids, np.ones_like(ids)][: MODELS[name]]


def measure(work, threads, repeats, count, results):
    device = measure_cpu(threads)
    target = make_target("openvino", threads=threads)
    groups = {}
    for name in MODELS:
        for length in LENGTHS:
            graph = ModelGraph.from_json((work / f"{name}-{length}.json").read_text())
            for batch in BATCHES:
                table = Roofline(graph, device, batch=batch).table({})
                file, inputs = work / f"{name}-{length}.onnx", tokens(name, batch, length)
                sittings = [
                    measured_times(
                        graph, target.profile(file, inputs, float_type="f32", repeats=repeats), table
                    )
                    for _ in range(count)
                ]
                for priced in table:
                    times = [s.get(priced.operator.name) for s in sittings]
                    if priced.operator.site is not None and None not in times:
                        add(groups, (name, batch, length), graph, priced, times)
                print(name, length, batch, len(groups), flush=True)
    info = target.info()
    target.close()
    body = {
        "machine": dict(info.machine),
        "device": device_to_json(device),
        "repeats": repeats,
        "groups": list(groups.values()),
    }
    results.write_text(json.dumps(body) + "\n")


def add(groups, where, graph, priced, times):
    """Put a site's times to the layers of its shape, which the roofline prices alike."""
    kind, shape = priced.operator.kind, graph.site(priced.operator.site).weight_shape
    group = groups.setdefault(
        (*where, kind, shape),
        {
            **dict(zip(("model", "batch", "length"), where, strict=True)),
            "kind": kind,
            "shape": shape,
            "bound": priced.bound,
            "estimated_ms": priced.ms,
            "compute_ms": priced.compute_ms,
            "memory_ms": priced.memory_ms,
            "kernels": priced.kernels,
            "macs": priced.work.macs,
            "bytes": priced.work.total_bytes,
            "times_ms": {},
        },
    )
    group["times_ms"][priced.operator.site] = [round(t, 6) for t in times]


def line(title, rows):
    """Print how predictions rank the times of (group, milliseconds) rows."""
    times = [ms for _, ms in rows]
    ranks = [spearman([g[key] for g, _ in rows], times) for key in ("estimated_ms", "macs", "bytes")]
    _, error = fit_factors(
        *([g[key] for g, _ in rows] for key in ("compute_ms", "memory_ms", "kernels")), times
    )
    shown = " | ".join(f"{rank:.3f}" for rank in ranks)
    print(f"| {title} | {len(times)} | {shown} | {100 * error:.0f} % |")


def table(results):
    body = json.loads(results.read_text())
    machine, device, groups = body["machine"], body["device"], body["groups"]
    peaks = ", ".join(f"{k} {v / 1e9:.0f} Gop/s" for k, v in device["peaks"].items())
    print(f"{machine['runtime']}, {machine['cpu']}, {machine['threads']} threads: {peaks}, ", end="")
    print(f"{device['bandwidth'] / 1e9:.1f} GB/s, {1e6 * device['launch_s']:.1f} us a kernel")
    points = [(g, statistics.median(times)) for g in groups for times in g["times_ms"].values()]
    shapes = [
        (g, statistics.median(statistics.median(times) for times in g["times_ms"].values())) for g in groups
    ]
    print("\n| points | n | roofline | MACs | bytes | error after the fit |\n|---|---|---|---|---|---|")
    line("every (site, batch, length)", points)
    for name in MODELS:
        line(f"of {name}", [p for p in points if p[0]["model"] == name])
    line("medians of layers of one shape", shapes)
    for limit in ("compute", "memory"):
        line(f"of them {limit}-bound", [p for p in shapes if p[0]["bound"] == limit])
    runs = [times for g in groups for times in g["times_ms"].values()]
    alone, others = [r[0] for r in runs], [statistics.median(r[1:]) for r in runs]
    again = statistics.median(abs(a - b) / b for a, b in zip(alone, others, strict=True))
    print(f"\nOne sitting against the others: ranks {spearman(alone, others):.3f}, ", end="")
    print(f"median difference {100 * again:.1f} %")
    keys = ("compute_ms", "memory_ms", "kernels")
    factors, _ = fit_factors(*([g[key] for g, _ in shapes] for key in keys), [ms for _, ms in shapes])
    print(f"Factors of the shapes: {factors}")
    print("\n| model | layer | batch | length | bound | estimated ms | measured ms |")
    print("|---|---|---|---|---|---|---|")
    for g, ms in shapes:
        where = f"{g['model']} | {g['kind']} {'x'.join(map(str, g['shape']))} | {g['batch']} | {g['length']}"
        print(f"| {where} | {g['bound']} | {g['estimated_ms']:.4f} | {ms:.4f} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=["prepare", "measure", "table"])
    parser.add_argument("--work", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--sittings", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    if given.step == "prepare":
        prepare(given.work)
    elif given.step == "measure":
        measure(given.work, given.threads, given.repeats, given.sittings, given.results)
    else:
        table(given.results)


if __name__ == "__main__":
    main()
