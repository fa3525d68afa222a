"""Every strategy through the command line on a trained network: ``automl search MODEL --strategy NAME``.

    python experiments/every_strategy/run.py --shared DIR --folder DIR

The names are those of ``automl strategies --json``. Each runs 40 trials with quick effort under a hard
latency budget on the CIFAR-10 ResNet-20; ``exhaustive`` refuses so large a space with a sentence and runs
once more on the MLPerf Tiny ResNet-8. One line a run is appended to ``results.jsonl`` beside this file, and
what is there is not run again. Tables of the model are shared by the runs, so the first one pays for them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "export_quality"))

from side_by_side import load_loaders  # noqa: E402
from side_by_side import save_images  # noqa: E402

from automl.core.indicators import hypervolume  # noqa: E402
from automl.core.trial import Fidelity  # noqa: E402
from automl.ledger import read_ledger  # noqa: E402
from automl.stages.folder import LEDGER_FILE  # noqa: E402

RESULTS = HERE / "results.jsonl"
TRIALS = 40
IMAGES = 256
#: Exit statuses of a search that ended with an answer: the budget is met, or nothing meets it.
ANSWERED = (0, 3)


def automl(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    command = [sys.executable, "-m", "automl.cli.app", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def names() -> list[str]:
    """Return what ``--strategy`` takes."""
    return [s["name"] for s in json.loads(automl("strategies", "--json").stdout)["strategies"]]


def prepare_data(shared: Path, folder: Path) -> list[str]:
    """Write the images and return the options that name them."""
    loaders = load_loaders(shared)
    given, _ = loaders.cifar10("train_jpeg", 128)
    images, labels = loaders.cifar10("test_jpeg", IMAGES)
    data = save_images(folder / "evaluation.npz", images, labels)
    calibration = save_images(folder / "calibration.npz", given)
    return ["--data", data, "--calibration-data", calibration, "--evaluation", str(IMAGES)]


def found_volume(run: Path) -> tuple[int, float]:
    """Return (trials, hypervolume of accuracy and latency as shares of trial 0) of a run's ledger."""
    found = read_ledger(run / LEDGER_FILE, study_name=run.name).trials
    trials = [t for t in found if t.measurement is not None and t.fidelity is Fidelity.FULL]
    points = np.array([[-t.value("accuracy"), t.value("latency_ms")] for t in trials])
    scaled = points / np.abs(points[0])
    return len(found), hypervolume(scaled, np.array([0.0, 1.0]))


def one_run(
    model: str, name: str, data: list[str], folder: Path, options: argparse.Namespace
) -> dict[str, Any]:
    """Return the row of one search."""
    run = folder / f"{model}-{name.replace(':', '-')}"
    start = time.monotonic()
    done = automl(
        *("search", f"small_models:{model}", "--strategy", name, "--trials", str(options.trials)),
        *("--effort", "quick", "--budget", options.budget, "--threads", "1", "--seed", "0", "--json"),
        *(*data, "--run", str(run), "--cache", str(folder / "cache")),
    )
    row = {"model": model, "strategy": name, "exit": done.returncode, "budget": options.budget}
    row["seconds"] = round(time.monotonic() - start, 1)
    if done.returncode not in ANSWERED:
        return {**row, "said": done.stderr.strip().splitlines()[-1].replace(str(folder), "FOLDER")}
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    row["trials"], row["volume"] = found_volume(run)
    picked = {m["id"]: m for m in answer["front"]}.get(answer["best"])
    if picked is not None:
        metrics, base = picked["metrics"], answer["trial0"]["metrics"]
        row["accuracy"], row["latency_ms"] = (metrics[m]["value"] for m in ("accuracy", "latency_ms"))
        row["accuracy0"], row["latency0_ms"] = (base[m]["value"] for m in ("accuracy", "latency_ms"))
    notes = json.loads((run / "answer.json").read_text()).get("notes", [])
    row["notes"] = [note.replace(str(folder), "FOLDER") for note in notes]
    return row


def read_rows() -> list[dict[str, Any]]:
    """Return the rows that are there."""
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the table of the README."""
    titles = ("strategy", "model", "exit", "trials", "pick: top-1 %", "of trial 0's latency", "volume")
    lines = [f"| {' | '.join((*titles, 'trial 0, ms', 's'))} |"]
    lines.append("|---" * 9 + "|")
    for row in rows:
        head = f"| `{row['strategy']}` | {row['model']} | {row['exit']} |"
        if "latency_ms" in row:
            share = row["latency_ms"] / row["latency0_ms"]
            middle = f" {row['trials']} | {100 * row['accuracy']:.1f} | {share:.3f} | {row['volume']:.4f} "
            middle += f"| {row['latency0_ms']:.2f} |"
        elif "trials" in row:
            middle = f" {row['trials']} | nothing meets the budget | | {row['volume']:.4f} | |"
        else:
            middle = f" | {row['said']} | | | |"
        lines.append(f"{head}{middle} {row['seconds']:.0f} |")
    return "\n".join(lines)


def write_table(table: str, readme: Path) -> None:
    """Put the table between its marks in ``readme``."""
    before, _, rest = readme.read_text().partition("<!-- table -->\n")
    readme.write_text(f"{before}<!-- table -->\n{table}\n<!-- end -->{rest.partition('<!-- end -->')[2]}")


def main() -> None:
    """Run what is missing and print the table."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--shared", type=Path, required=True, help="folder of loaders.py and its data")
    parser.add_argument("--folder", type=Path, required=True, help="keeps runs and tables")
    parser.add_argument("--only", nargs="+", help="strategies; all when absent")
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--budget", default="latency=0.8x")
    parser.add_argument("--table", action="store_true", help="print what is there and run nothing")
    options = parser.parse_args()
    if not options.table:
        os.environ["SMALL_MODELS_SHARED"] = str(options.shared.resolve())
        os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
        options.folder.mkdir(parents=True, exist_ok=True)
        data = prepare_data(options.shared, options.folder)
        done = {(row["model"], row["strategy"]) for row in read_rows()}
        for name in options.only or names():
            for model in ("resnet20", "resnet8") if name == "exhaustive" else ("resnet20",):
                if (model, name) in done:
                    continue
                row = one_run(model, name, data, options.folder, options)
                with RESULTS.open("a") as stream:
                    stream.write(json.dumps(row) + "\n")
                print(json.dumps({k: v for k, v in row.items() if k != "notes"}), flush=True)
    table = markdown(read_rows())
    write_table(table, HERE / "README.md")
    print(table)


if __name__ == "__main__":
    main()
