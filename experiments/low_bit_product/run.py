"""Quality under a limit of weight bits, by the product alone: ``automl search MODEL --budget bits=B``.

    python experiments/low_bit_product/run.py --shared DIR
    python experiments/low_bit_product/run.py --shared DIR --cases resnet56 --budgets 4 --calibration 16 \\
        --selection 32 --test 100 --effort quick --trials 6 --results small.json

The search picks on selection images of its own; the artifact it picked is then loaded and run once on test
images that neither calibration nor selection saw. Every uniform configuration that fits a budget is built
from the same calibration images, plain and repaired, and run the same way.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "export_quality"))

from side_by_side import Bench  # noqa: E402
from side_by_side import load_loaders  # noqa: E402
from side_by_side import markdown  # noqa: E402
from side_by_side import provenance  # noqa: E402
from side_by_side import quality  # noqa: E402
from side_by_side import save_images  # noqa: E402
from side_by_side import study_parser  # noqa: E402
from side_by_side import work_folder  # noqa: E402

import automl  # noqa: E402
from automl.api import open_run  # noqa: E402
from automl.config import make_config  # noqa: E402
from automl.evaluators.quality_math import paired_difference_interval  # noqa: E402
from automl.stages.problem import uniform_candidates  # noqa: E402
from automl.transforms.precision import PRECISIONS  # noqa: E402

if TYPE_CHECKING:
    import argparse
    from types import ModuleType

CHUNK = 25

#: (model, budget) -> what other tools reached there, in percent, and what is wanted.
PEERS = {
    ("resnet56", 3.0): ("ModelOpt 21.9, MCT 65.0", 70.0),
    ("resnet56", 3.5): ("ModelOpt 25.9", 80.0),
    ("resnet56", 4.0): ("ModelOpt 75.5, MCT 80.5", 83.5),
    ("lite0", 4.0): ("MCT 83.6", 84.5),
    ("lite0", 4.5): ("ModelOpt 82.8", 85.5),
    ("lite0", 5.0): ("ModelOpt 83.8", 86.5),
    ("lite0", 6.0): ("ModelOpt 87.0", 87.2),
}

CASES = {"resnet56": ("resnet56", "train"), "hold": ("lite0", "hold"), "crops": ("lite0", "crops")}

COLUMNS = {
    "model": "model",
    "calibration": "calibration",
    "budget": "budget",
    "name": "configuration",
    "repair": "repaired",
    "bits": "bits used|.3f",
    "top1": "top-1 %|.1f",
    "float_top1": "float|.1f",
    "agreement": "agreement %|.1f",
    "kl": "KL|.4f",
    "uniform": "best uniform that fits",
    "gain": "points above it (95 %)",
    "peers": "peers",
    "wanted": "wanted|.1f",
}


@dataclass(frozen=True, eq=False)
class Case:
    """Settings of the search, and the test images and labels that it never sees."""

    model: str
    calibration: str
    settings: dict[str, Any]
    images: np.ndarray
    labels: np.ndarray


def resnet56(loaders: ModuleType, options: argparse.Namespace, folder: Path) -> Case:
    """Calibrate on the first training images, select on others with labels, test on test images."""
    first = options.calibration or 512
    images, labels = loaders.cifar10("train_jpeg", first + (options.selection or 2000))
    test, truth = loaders.cifar10("test_jpeg", options.test or 5000)
    settings = {
        "model": "resnet56_cifar:build",
        "data": save_images(folder / "selection.npz", images[first:], labels[first:]),
        "calibration_data": save_images(folder / "calibration.npz", images[:first]),
        "calibration": first,
        "evaluation": len(images) - first,
    }
    return Case("resnet56", "train", settings, test, truth)


def lite0(loaders: ModuleType, options: argparse.Namespace, folder: Path, how: str) -> Case:
    """Select on crops of embedded photographs; calibrate on others, or on 128 images that no test sees."""
    images, labels = loaders.imagenet_sample()
    order = np.random.default_rng(0).permutation(len(images))
    count = options.calibration or 128
    given, rest = (order[:count], order[count:]) if how == "hold" else (order[:0], order)
    rest = rest[: options.test]
    settings = {"model": "efficientnet_lite0", "calibration": count, "evaluation": options.selection or 256}
    if how == "hold":
        settings["calibration_data"] = save_images(folder / "calibration.npz", images[given])
    return Case("lite0", how, settings, images[rest], labels[rest])


def search(case: Case, budget: float, run: Path, options: argparse.Namespace) -> None:
    """Run ``automl search`` in a process of its own; status 3 says that nothing fits."""
    words = [sys.executable, "-m", "automl.cli.app", "search", case.settings["model"]]
    words += ["--budget", f"bits={budget}", "--run", str(run), "--cache", str(run.parent / "cache")]
    words += ["--effort", options.effort, "--seed", str(options.seed)]
    for key in ("data", "calibration_data", "calibration", "evaluation"):
        if key in case.settings:
            words += [f"--{key.replace('_', '-')}", str(case.settings[key])]
    for key in ("trials", "threads"):
        if getattr(options, key):
            words += [f"--{key}", str(getattr(options, key))]
    status = subprocess.run(words, check=False).returncode
    if status not in (0, 3):
        raise SystemExit(f"{' '.join(words)} ended with status {status}")


def run_artifact(folder: Path, inputs: np.ndarray) -> np.ndarray:
    """Return the logits of an artifact as a user gets them."""
    artifact = automl.load(folder)
    chunks = np.split(inputs, range(CHUNK, len(inputs), CHUNK))
    return np.concatenate([artifact.predict(chunk) for chunk in chunks])


def uniform_rows(case: Case, bench: Bench, inputs: np.ndarray, reference: np.ndarray, most: float) -> list:
    """Return a row of every uniform configuration of at most ``most`` bits, plain and repaired."""
    rows = []
    for name, candidate in uniform_candidates(bench.bench.space):
        bits = bench.evaluator.counts(candidate)["weight_bits"].value
        if bits > most:
            continue
        for repair in (False, True):
            made = bench.build("uniform", name, candidate, repair=repair)
            logits = run_artifact(made.folder, inputs)
            line = {"name": name, "repair": made.repair, "bits": bits, "bytes": made.size_bytes}
            rows.append({**line, **row_quality(case, logits, reference)})
            print(line, rows[-1]["top1"], file=sys.stderr, flush=True)
    return rows


def row_quality(case: Case, logits: np.ndarray, reference: np.ndarray) -> dict[str, Any]:
    """Return the quality on the test images, with one digit an image for paired comparisons."""
    right = (logits.argmax(1) == case.labels).astype(int)
    facts = {"model": case.model, "calibration": case.calibration, "images": len(logits)}
    facts["float_top1"] = 100 * float((reference.argmax(1) == case.labels).mean())
    return {**facts, **quality(logits, reference, case.labels), "hits": "".join(map(str, right))}


def pick_row(case: Case, budget: float, run: Path, inputs: np.ndarray, reference: np.ndarray) -> dict:
    """Return the row of the artifact that the search picked."""
    result = open_run(run)
    peers, wanted = PEERS.get((case.model, budget), (None, None))
    line = {"budget": budget, "peers": peers, "wanted": wanted}
    if (best := result.best) is None:
        return {"model": case.model, "calibration": case.calibration, **line, "name": "nothing fits"}
    options = [str(o) for k, o in best.candidate.as_dict.items() if k != "float:model"]
    metric = result.answer.primary
    counts = ", ".join(f"{options.count(o)} {o}" for o in PRECISIONS if o in options)
    line |= {
        "name": f"search: {counts}",
        "bits": best.metrics["weight_bits"].value,
        "bytes": best.artifact.size_bytes,
        "selection": {metric: best.metrics[metric].value, "images": best.metrics[metric].n},
        "candidate": best.candidate.as_dict,
    }
    return {**line, **row_quality(case, run_artifact(best.artifact.folder, inputs), reference)}


def compare(row: dict[str, Any], uniform: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the row beside the best uniform configuration within its budget, chosen on the test images."""
    fitting = [u for u in uniform if u["bits"] <= row["budget"]]
    if not fitting or "hits" not in row:
        return row
    best = max(fitting, key=lambda u: u["top1"])
    ours, theirs = (np.array(list(map(int, r["hits"]))) for r in (row, best))
    lost, won = int((theirs > ours).sum()), int((ours > theirs).sum())
    low, high = (-100 * x for x in reversed(paired_difference_interval(lost, won, len(ours))))
    gain = row["top1"] - best["top1"]
    return {
        **row,
        "uniform": f"{best['name']}, repair {best['repair']}: {best['top1']:.1f}",
        "gain": f"{gain:+.1f} [{low:+.1f}, {high:+.1f}]",
        "never_worse": gain >= 0,
        "reached": None if row["wanted"] is None else row["top1"] >= row["wanted"],
    }


def study(name: str, options: argparse.Namespace, folder: Path, budgets: list[float]) -> dict[str, Any]:
    """Search at every budget, then measure the uniform configurations."""
    loaders = load_loaders(options.shared)
    model, how = CASES[name]
    case = resnet56(loaders, options, folder) if model == "resnet56" else lite0(loaders, options, folder, how)
    shared = {"effort": options.effort, "seed": options.seed, "threads": options.threads}
    config = make_config({**case.settings, **shared, "budget": f"bits={max(budgets)}"})
    for budget in budgets:
        search(case, budget, folder / f"bits-{budget}", options)
    bench = Bench(config, folder / "own", folder / "cache")
    inputs = bench.inputs(case.images)
    reference = run_artifact(bench.floats()[0].folder, inputs)
    rows = [pick_row(case, b, folder / f"bits-{b}", inputs, reference) for b in budgets]
    uniform = uniform_rows(case, bench, inputs, reference, max(budgets))
    record = provenance(bench.target, options, case=name, test_images=len(inputs))
    bench.target.close()
    return {**record, "rows": [compare(row, uniform) for row in rows], "uniform": uniform}


def main() -> None:
    parser = study_parser(__doc__, HERE)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--budgets", type=float, nargs="+", help="bits a weight; the peers' when absent")
    parser.add_argument("--calibration", type=int, help="calibration images; 512 and 128 when absent")
    parser.add_argument("--selection", type=int, help="images the search picks on; 2000 and 256 when absent")
    parser.add_argument("--test", type=int, help="test images; 5000 and all when absent")
    options = parser.parse_args()
    load_loaders(options.shared)
    # the searches import the model's function from here, and that the loaders from there
    os.environ["LOW_BIT_SHARED"] = str(options.shared.resolve())
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    with work_folder(options) as folder:
        for name in options.cases:
            (folder / name).mkdir(exist_ok=True)
            budgets = options.budgets or [b for model, b in PEERS if model == CASES[name][0]]
            found = study(name, options, folder / name, budgets)
            known = json.loads(options.results.read_text()) if options.results.is_file() else {}
            options.results.write_text(json.dumps({**known, name: found}, indent=1) + "\n")
            print(f"\n{name}\n")
            print(markdown(COLUMNS, [*found["rows"], *found["uniform"]]), flush=True)


if __name__ == "__main__":
    main()
