"""Evidence that the learning strategies learn: training against a shuffled control, linkage, and HAQ's table.

Run: ``python experiments/rl/run.py [--shared DIR] [--seeds 5] [--only training linkage haq]``; writes
results.json beside it and prints the tables of the README (``--table``: those of what is there). DIR holds
HAQ's latency table (AUTOML_SHARED_DATA or ``../shared/data`` beside the checkout when absent). One process,
one thread, generations of 8.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

for pool in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(pool, "1")

import numpy as np  # noqa: E402

from automl.core.indicators import hypervolume  # noqa: E402
from automl.core.rng import child_rng  # noqa: E402
from automl.core.trial import Trial  # noqa: E402
from automl.strategies.table import make_strategy  # noqa: E402
from automl.testing.linkage import gene_table_problem  # noqa: E402
from automl.testing.linkage import linkage_problem  # noqa: E402

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from haq_problem import FILE  # noqa: E402
from haq_problem import haq_problem  # noqa: E402

if TYPE_CHECKING:
    from automl.core.measurement import Measurement
    from automl.strategies.base import Strategy
    from automl.testing.problems import SyntheticProblem

BATCH = 8
GENES = 400
LINKAGE = (400, 2000)
HAQ = (200, 600, 1000, 5000)
#: Candidates whose measurements a control is told.
POOL = 4000
#: What a control is told, in the tables.
CONTROL = "others' values"
LEARNERS = ("controller", "reinforce", "reinforced", "ddpg")


def misled(trials: list[Trial], pool: list[Measurement], rng: np.random.Generator) -> list[Trial]:
    """Return the trials with measurements of other candidates: the control of every learning curve.

    Those are drawn evenly from the whole space. Dealing out a generation's own measurements anew would leave
    its mean true, and a strategy that weighs generations against each other learns from that.
    """
    drawn = rng.integers(len(pool), size=len(trials))
    return [
        Trial(t.number, t.candidate, t.state, measurement=pool[i]) for t, i in zip(trials, drawn, strict=True)
    ]


def play(
    strategy: Strategy, synthetic: SyntheticProblem, evaluations: int, *, shuffle: bool = False
) -> np.ndarray:
    """Return the true values of what was proposed, in order, (n, n_metrics); a control is told others."""
    rng, space = child_rng(synthetic.problem.seed, "shuffle"), synthetic.problem.space
    pool = synthetic.measure([space.decode(code) for code in space.sample(rng, POOL)]) if shuffle else []
    values, spent = [], 0
    while spent < evaluations:
        candidates = strategy.ask(min(BATCH, evaluations - spent))
        if not candidates:
            break
        trials = synthetic.trials(candidates, spent)
        strategy.tell(misled(trials, pool, rng) if shuffle else trials)
        values.append(synthetic.truth(space.encode(candidates)))
        spent += len(candidates)
    return np.concatenate(values)


def ends(values: np.ndarray) -> list[float]:
    """Return the means of the first and the last fifth."""
    part = max(len(values) // 5, 1)
    return [float(values[:part].mean()), float(values[-part:].mean())]


def entropy(strategy: Strategy) -> list[float] | None:
    """Return the policy's entropy a decision at the first and over the last ten updates, in nats."""
    drawn = [series for curve in getattr(strategy, "curves", ()) for series in curve.series]
    found = [series.values for series in drawn if series.name == "entropy"]
    return [found[0][0], float(np.mean(found[0][-10:]))] if found else None


def training(seeds: int) -> list[dict]:
    """Six genes with linkage: share of the largest reward reached, and what the policy proposes over time."""
    rows = []
    for name in ("controller", "reinforce", "reinforced", "ddpg", "evolutionary", "random"):
        for shuffle in (False, True) if name in LEARNERS else (False,):
            for seed in range(seeds):
                synthetic, largest = gene_table_problem(seed=seed)
                strategy = make_strategy(name, synthetic.problem)
                share = -play(strategy, synthetic, GENES, shuffle=shuffle)[:, 0] / largest
                rows.append(
                    {
                        "strategy": name,
                        "shuffled": shuffle,
                        "seed": seed,
                        "best": float(share.max()),
                        "mean_first_last": ends(share),
                        "entropy_first_last": entropy(strategy),
                        "curve": [
                            round(float(v), 4) for v in share[: GENES // 40 * 40].reshape(-1, 40).mean(axis=1)
                        ],
                    }
                )
        show(rows, name, "best")
    return rows


def linkage(seeds: int) -> list[dict]:
    """Twelve genes in linked pairs: hypervolume after 400 and 2,000 evaluations."""
    rows = []
    for adjacent in (True, False):
        for name in ("evolutionary", "reinforced", "controller", "reinforce", "random"):
            for seed in range(seeds):
                synthetic = linkage_problem(adjacent=adjacent, seed=seed)
                points = play(make_strategy(name, synthetic.problem), synthetic, LINKAGE[-1])
                half = len(synthetic.problem.space) / 2
                volumes = {str(m): hypervolume(points[:m], np.array([half, half])) for m in LINKAGE}
                rows.append({"strategy": name, "adjacent": adjacent, "seed": seed, "volume": volumes})
            own = [r["volume"] for r in rows if r["strategy"] == name and r["adjacent"] == adjacent]
            means = {m: round(float(np.mean([v[m] for v in own])), 3) for m in own[0]}
            print("linkage", "adjacent" if adjacent else "apart", name, means, flush=True)
    return rows


def haq(folder: Path, seeds: int) -> list[dict]:
    """HAQ's latency table at 0.6 of the latency: damage of the best candidate within the budget."""
    synthetic = haq_problem(folder, 0)
    (first,) = make_strategy("exact", synthetic.problem).ask(1)
    optimum, latency = synthetic.truth(synthetic.problem.space.encode([first]))[0]
    limit = synthetic.problem.budgets[0].limit
    rows = [{"strategy": "exact", "damage": float(optimum), "latency_share": float(latency / limit)}]
    print("haq exact", rows[0], flush=True)
    for name in ("ddpg", "controller", "reinforce", "reinforced", "evolutionary", "random"):
        for shuffle in (False, True) if name == "ddpg" else (False,):
            for seed in range(seeds):
                synthetic = haq_problem(folder, seed)
                start = time.process_time()
                values = play(make_strategy(name, synthetic.problem), synthetic, HAQ[-1], shuffle=shuffle)
                seconds = time.process_time() - start
                within = values[:, 1] <= limit * (1 + 1e-9)
                damage = np.where(within, values[:, 0], np.inf)
                best = {str(m): _ratio(damage[:m].min(), optimum) for m in HAQ}
                answer = int(damage.argmin())
                rows.append(
                    {
                        "strategy": name,
                        "shuffled": shuffle,
                        "seed": seed,
                        "best_over_exact": best,
                        "answer_latency_share": float(values[answer, 1] / limit) if within.any() else None,
                        "beyond": int((~within).sum()),
                        "log10_damage_first_last": ends(np.log10(values[:, 0])),
                        "seconds": round(seconds, 2),
                    }
                )
                print("haq", rows[-1], flush=True)
    return rows


def _ratio(damage: float, optimum: float) -> float | None:
    return float(damage / optimum) if np.isfinite(damage) else None


def show(rows: list[dict], name: str, key: str) -> None:
    """Print the rows of one strategy."""
    for shuffle in (False, True):
        own = [r for r in rows if r["strategy"] == name and r["shuffled"] is shuffle]
        if own:
            means = np.mean([r["mean_first_last"] for r in own], axis=0).round(3).tolist()
            best = [round(r[key], 4) for r in own]
            print("training", name, "shuffled" if shuffle else "", best, means, flush=True)


def _span(values: list[float]) -> str:
    """Return ``median (smallest to largest)``."""
    return f"{np.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def _groups(rows: list[dict], *keys: str) -> dict[tuple, list[dict]]:
    found: dict[tuple, list[dict]] = {}
    for row in rows:
        found.setdefault(tuple(row.get(k) for k in keys), []).append(row)
    return found


def training_table(rows: list[dict]) -> list[str]:
    """Return the lines of the table of the training runs."""
    lines = [
        "| strategy | told | best of 400 | mean of the first fifth | of the last fifth | entropy, nats |",
        "|---|---|---|---|---|---|",
    ]
    for (name, shuffled_), own in _groups(rows, "strategy", "shuffled").items():
        first, last = zip(*(r["mean_first_last"] for r in own), strict=True)
        entropies = [r["entropy_first_last"] for r in own if r["entropy_first_last"]]
        fall = " to ".join(f"{v:.2f}" for v in np.median(entropies, axis=0)) if entropies else ""
        told = CONTROL if shuffled_ else "the truth"
        best = _span([r["best"] for r in own])
        lines.append(
            f"| `{name}` | {told} | {best} | {np.median(first):.3f} | {np.median(last):.3f} | {fall} |"
        )
    return lines


def linkage_table(rows: list[dict]) -> list[str]:
    """Return the lines of the table of the linkage runs."""
    lines = [f"| partners | strategy | {' | '.join(f'volume at {m:,}' for m in LINKAGE)} |"]
    lines.append("|---|---" + "|---" * len(LINKAGE) + "|")
    for (adjacent, name), own in _groups(rows, "adjacent", "strategy").items():
        cells = [_span([r["volume"][str(m)] for r in own]) for m in LINKAGE]
        lines.append(f"| {'adjacent' if adjacent else 'apart'} | `{name}` | {' | '.join(cells)} |")
    return lines


def haq_table(rows: list[dict]) -> list[str]:
    """Return the lines of the table of the runs on HAQ's table."""
    marks = [m for m in HAQ if all(str(m) in r["best_over_exact"] for r in rows if "best_over_exact" in r)]
    lines = [f"| strategy | told | {' | '.join(f'at {m:,}' for m in marks)} | answer's latency | beyond |"]
    lines.append("|---|---" + "|---" * len(marks) + "|---|---|")
    played = [r for r in rows if "best_over_exact" in r]
    for (name, shuffled_), own in _groups(played, "strategy", "shuffled").items():
        cells = [_span([r["best_over_exact"][str(m)] or np.inf for r in own]) for m in marks]
        share = max(r["answer_latency_share"] or np.inf for r in own)
        told = CONTROL if shuffled_ else "the truth"
        beyond = sum(r["beyond"] for r in own)
        lines.append(f"| `{name}` | {told} | {' | '.join(cells)} | at most {share:.4f} | {beyond} |")
    return lines


TABLES = {"training": training_table, "linkage": linkage_table, "haq": haq_table}


def write_tables(results: dict, readme: Path) -> None:
    """Print the tables of the parts that are there and put them between their marks in ``readme``."""
    text = readme.read_text()
    for part in results:
        table = "\n".join(TABLES[part](results[part]["rows"]))
        before, _, rest = text.partition(f"<!-- {part} -->\n")
        text = f"{before}<!-- {part} -->\n{table}\n<!-- end -->{rest.partition('<!-- end -->')[2]}"
        print(f"{table}\n")
    readme.write_text(text)


def data_folder(given: Path | None) -> Path | None:
    """Return the folder that holds HAQ's table, or None when it is not there."""
    folders = [given, os.environ.get("AUTOML_SHARED_DATA"), HERE.parents[2] / "shared" / "data"]
    found = [Path(f) for f in folders if f]
    return next((f for f in found if (f / FILE).is_file()), None)


def main() -> None:
    """Run the parts and write results.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, help="folder of the shared data")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--table", action="store_true", help="print what is there and run nothing")
    parser.add_argument("--only", nargs="*", choices=["training", "linkage", "haq"])
    arguments = parser.parse_args()
    parts = arguments.only or ["training", "linkage", "haq"]
    folder = data_folder(arguments.shared)
    if "haq" in parts and folder is None:
        raise SystemExit(f"{FILE} not found: give its folder with --shared")
    file = HERE / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for part in [] if arguments.table else parts:
        start = time.process_time()
        if part == "haq":
            rows = haq(folder, min(arguments.seeds, 3))
        else:
            rows = {"training": training, "linkage": linkage}[part](arguments.seeds)
        results[part] = {"cpu_seconds": round(time.process_time() - start, 1), "rows": rows}
        file.write_text(json.dumps(results, indent=1) + "\n")
    write_tables(results, HERE / "README.md")


if __name__ == "__main__":
    main()
