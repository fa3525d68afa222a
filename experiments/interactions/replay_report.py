"""Tables of the replays: hypervolume at the marks, evaluations to random's last, who is not better."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from play import Volume
from play import box_of

if TYPE_CHECKING:
    from emulator import Emulator
    from recorded_table import Recorded

MARKS = (50, 200, 1000)


def at(run: dict[str, Any], mark: int) -> float | None:
    """Return the last volume kept up to ``mark`` evaluations; None where the run was cut off."""
    kept = [m for m in run["volumes"] if m <= mark]
    longest = max(run["volumes"], default=0)
    return run["volumes"][max(kept)] if kept and longest >= mark - mark % 8 else None


def reached(run: dict[str, Any], bar: float) -> float:
    """Return the first kept number of evaluations with at least the volume ``bar``."""
    return min((m for m, volume in run["volumes"].items() if volume >= bar), default=np.inf)


def spread(values: list[float | None]) -> str:
    """Return ``median [least, largest]``, empty when some were cut off."""
    known = [v for v in values if v is not None]
    if len(known) < len(values) or not known:
        return ""
    return f"{np.median(known):.4f} [{min(known):.4f}, {max(known):.4f}]"


def groups(runs: list[dict[str, Any]]) -> dict[tuple[str, str, str], dict[str, list[dict[str, Any]]]]:
    """Return (table, answers, start) -> strategy -> runs."""
    found: dict[tuple[str, str, str], dict[str, list[dict[str, Any]]]] = {}
    for run in runs:
        own = found.setdefault((run["table"], run["answers"], run["start"]), {})
        own.setdefault(run["strategy"], []).append(run)
    return found


def not_better(named: dict[str, list[dict[str, Any]]], mark: int = 200) -> list[str]:
    """Return the strategies whose median volume at ``mark`` does not exceed random's."""
    middle = {s: [at(r, mark) for r in runs] for s, runs in named.items()}
    known = {s: float(np.median(v)) for s, v in middle.items() if v and None not in v}
    return [s for s, v in known.items() if s != "random" and v <= known.get("random", -1.0)]


def table(named: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Return one Markdown table."""
    heads = [f"at {m:,}" for m in MARKS]
    lines = [f"| strategy | {' | '.join(heads)} | evaluations to random's last | runs | s a run |"]
    lines.append("|---" * (len(MARKS) + 4) + "|")
    bars = [at(r, MARKS[-1]) for r in named.get("random", [])]
    bar = float(np.median([b for b in bars if b is not None])) if None not in bars and bars else np.inf
    for name, runs in sorted(named.items()):
        if all(r["ended"].startswith("refused") for r in runs):
            lines.append(f"| `{name}` | {runs[0]['ended'][:60]} |" + " |" * (len(MARKS) + 2))
            continue
        cells = [spread([at(r, m) for r in runs]) for m in MARKS]
        first = np.percentile([reached(r, bar) for r in runs], 50, method="higher")
        word = "not reached" if np.isinf(first) else f"{first:.0f}"
        seconds = np.median([r["seconds"] for r in runs])
        lines.append(f"| `{name}` | {' | '.join(cells)} | {word} | {len(runs)} | {seconds:.0f} |")
    return lines


def fit_table(tables: list[Recorded], fits: dict[str, Emulator]) -> str:
    """Return the emulators' errors on rows left out, a line for each form of the fit."""
    lines = ["| table | rows | fit | metric | R2 of the logarithm | Kendall tau | MAPE % |", "|---" * 7 + "|"]
    for table_ in tables:
        for form, found in fits[table_.name].errors.items():
            for metric, error in found.items():
                used = " (used)" if fits[table_.name].chosen[metric] == form else ""
                values = f"{error['r2_log']:.3f} | {error['kendall_tau']:.3f} | {error['mape_percent']:.1f}"
                lines.append(f"| {table_.name} | {len(table_.rows)} | {form}{used} | {metric} | {values} |")
    return "\n".join(lines)


def uniform_volume(recorded: Recorded) -> tuple[int, float]:
    """Return how many uniform configurations were measured and their volume, trial 0 included."""
    known = {row.code: (row.kl, row.latency_ms) for row in recorded.rows}
    volume = Volume(*box_of(recorded))
    points = [known[code] for code in recorded.head["uniform"] if code in known]
    for point in points:
        volume.add(np.array(point))
    return len(points), volume.value


def uniform_table(tables: list[Recorded]) -> str:
    """Return what uniform configurations reach by themselves, a sentence for each table."""
    found = [(t.name, *uniform_volume(t)) for t in tables]
    return " ".join(f"Volume of the {n} uniform configurations of {name}: {v:.4f}." for name, n, v in found)


def markdown(runs: list[dict[str, Any]]) -> str:
    """Return all tables with what follows from them."""
    lines: list[str] = []
    for (name, answers, start), named in sorted(groups(runs).items()):
        lines += ["", f"### {name}, {answers}, {start}", "", *table(named), ""]
        lines.append("Not better than `random` at 200: " + (", ".join(not_better(named)) or "none") + ".")
    return "\n".join(lines)
