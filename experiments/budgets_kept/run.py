"""Are budgets kept, does a second budget start from the tables, and does the hardware decide?

    python experiments/budgets_kept/run.py --models efficientnet_lite0 resnet50 --budgets 20
    python experiments/budgets_kept/run.py --models efficientnet_lite0 --budgets 2 \\
        --targets openvino openvino:isa=avx512_core

Every budget is one ``automl search`` in a process of its own; its pick is then loaded and timed again by
``automl bench`` in another one, beside the untouched model. A budget counts as kept when the ratio of that
second sitting is within the limit, allowing for the interval of the median; a run in which no candidate meets
it counts when its reachable range lies above the limit. ``prepare`` and ``price`` are the seconds until
strategies can propose.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def call(*arguments: str) -> tuple[int, dict | None]:
    done = subprocess.run(["automl", *arguments, "--json"], capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        print(done.stderr[-2000:])
    return done.returncode, json.loads(lines[-1]) if lines else None


def one(
    model: str, target: str, limit: float, folder: Path, cache: Path, options: argparse.Namespace
) -> dict:
    run = folder / f"{model}-{target.replace(':', '_').replace('=', '_')}-{limit:.3f}"
    arguments = [
        "search",
        model,
        "--target",
        target,
        "--budget",
        f"latency={limit:.3f}x",
        "--effort",
        options.effort,
    ]
    arguments += ["--run", str(run), "--cache", str(cache), "--seed", str(options.seed)]
    if options.data:
        arguments += ["--data", options.data]
    for name in ("trials", "evaluation", "calibration", "calibration_data"):
        if getattr(options, name):
            arguments += ["--" + name.replace("_", "-"), str(getattr(options, name))]
    code, answer = call(*arguments)
    if answer is None:
        return {"model": model, "target": target, "limit": limit, "exit": code, "kept": False}
    phases = dict(json.loads((run / "report.json").read_text())["phases"])
    row = {
        "model": model,
        "target": target,
        "limit": limit,
        "exit": code,
        "seconds_to_candidates": phases["prepare"] + phases["price"],
        "quality_metric": answer["quality_metric"],
    }
    if answer["best"] is None:
        base = answer["trial0"]["metrics"]["latency_ms"]["value"]
        least = answer["reachable"]["latency_ms"][0] / base
        return {**row, "kept": code == 3 and least > limit, "reachable": least}
    best = next(m for m in answer["front"] if m["id"] == answer["best"])
    _, again = call(
        "bench", model, best["artifact"], "--target", target, "--repeats", "150", "--evaluation", "32"
    )
    reference, found = (m["metrics"]["latency_ms"] for m in again["models"])
    ratio = found["value"] / reference["value"]
    low = found["low"] / reference["high"]
    options_used = list(best["candidate"].values())
    return {
        **row,
        "confirmed_ratio": best["metrics"]["latency_ms"]["value"]
        / answer["trial0"]["metrics"]["latency_ms"]["value"],
        "ratio_again": ratio,
        "ratio_again_low": low,
        "kept": low <= limit,
        "quality": best["metrics"][answer["quality_metric"]]["value"],
        "float": best["candidate"].get("float:model", "f32"),
        "w8a8": sum(o == "w8a8" for o in options_used),
        "fp": sum(o == "fp" for o in options_used),
        "candidate": best["candidate"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["efficientnet_lite0", "resnet50"])
    parser.add_argument("--targets", nargs="+", default=["openvino"])
    parser.add_argument("--budgets", type=int, default=20)
    parser.add_argument("--low", type=float, default=0.48)
    parser.add_argument("--high", type=float, default=1.0)
    parser.add_argument("--effort", default="quick")
    parser.add_argument("--trials", type=int)
    parser.add_argument("--evaluation", type=int)
    parser.add_argument("--calibration", type=int)
    parser.add_argument("--calibration-data")
    parser.add_argument("--data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=HERE / "results.json")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for model in options.models:
            for target in options.targets:
                for limit in np.linspace(options.low, options.high, options.budgets):
                    row = one(model, target, float(limit), folder, folder / "cache", options)
                    rows.append(row)
                    print({k: v for k, v in row.items() if k != "candidate"}, flush=True)
                    options.results.write_text(json.dumps(rows, indent=1))
    print(f"{sum(r['kept'] for r in rows)} of {len(rows)} budgets kept")


if __name__ == "__main__":
    main()
