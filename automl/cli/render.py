"""What the command line shows; every function takes the console it writes to."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from pathlib import Path

    from automl.core.measurement import Metric
    from automl.stages.answer import Answer
    from automl.stages.answer import Member

__all__ = ["answer_json", "format_metric", "front_table", "kernel_table", "show_answer", "wide_console"]

#: Columns of output that goes to a file or pipe.
WIDTH = 160

_PERCENT = frozenset({"accuracy", "agreement", "drop"})


def wide_console(*, stderr: bool = True) -> Console:
    """Return the console of the command line; what is not a terminal gets lines wide enough for the table."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=WIDTH)


def kernel_table(member: Member) -> Table:
    """Return which kernel serves each site of a model, and why the others do not."""
    table = Table(title="kernels", show_lines=True)
    for title in ("site", "option", "kernel", "why", "why not another"):
        table.add_column(title)
    for row in member.served:
        others = "\n".join(f"{name}: {why}" for name, why in row.others)
        kernel = f"{row.kernel} ({row.implementation})"
        table.add_row(*map(escape, (row.site, row.option, kernel, row.reason, others)))
    return table


def _number(name: str, value: float) -> str:
    if name in _PERCENT:
        return f"{100 * value:.1f} %"
    if name.endswith("_ms"):
        return f"{value:.2f} ms"
    if name.endswith("_bytes"):
        return f"{value / 1e6:.2f} MB"
    if name in {"macs", "bops"}:
        return f"{value / 1e9:.2f} G" if value >= 1e9 else f"{value / 1e6:.0f} M"
    return f"{value:.4g}"


def format_metric(name: str, metric: Metric, *, interval: bool = True) -> str:
    """Return a metric as text in the unit people read, with its 95 % interval when it has one."""
    text = _number(name, metric.value)
    if interval and metric.high > metric.low:
        low, high = (_number(name, v).split(" ")[0] for v in (metric.low, metric.high))
        text += f" [{low}, {high}]"
    return text


def _row(member: Member, answer: Answer, mark: str) -> list[str]:
    metrics = member.measurement
    shown = {
        name: format_metric(name, metrics[name], interval=name in {answer.primary, "latency_ms"})
        for name in metrics
    }
    cells = [mark, member.id, *(shown.get(name, "") for name in _columns(answer))]
    for budget in answer.budgets:
        held = member.budgets.get(budget.text)
        cells.append("" if held is None else "yes" if held else "no")
    return cells


def _columns(answer: Answer) -> list[str]:
    memory = ["memory_bytes"] if "memory_bytes" in answer.trial0.measurement else []
    timing = ["latency_ms", "latency_p95_ms", "predicted_latency_ms"]
    if "estimate" in answer.target:
        timing = ["estimated_latency_ms"]
    return [answer.primary, *timing, "size_bytes", *memory, "macs"]


_TITLES = {
    "latency_ms": "latency (median)",
    "latency_p95_ms": "p95",
    "predicted_latency_ms": "predicted",
    "estimated_latency_ms": "latency (estimated)",
    "size_bytes": "size",
    "memory_bytes": "memory",
    "macs": "MACs",
}


def front_table(answer: Answer) -> Table:
    """Return the table of trial 0, the runtime's defaults and the front; the pick is marked."""
    estimate = answer.target.get("estimate")
    title = "measured from reloaded artifacts, interleaved with the untouched model"
    if estimate is not None:
        title = f"measured from reloaded artifacts; latency estimated for {estimate['title']}, not measured"
    table = Table(title=title, title_style="dim")
    table.add_column("")
    table.add_column("id", no_wrap=True)
    for name in _columns(answer):
        table.add_column(_TITLES.get(name, name), justify="right", no_wrap=True)
    for budget in answer.budgets:
        table.add_column(escape(budget.text), justify="center")
    table.add_row(*_row(answer.trial0, answer, "0"), style="dim")
    for member in answer.defaults:
        table.add_row(*_row(member, answer, "·"), style="dim")
    for member in answer.front or answer.nearest:
        picked = member.id == answer.best
        table.add_row(*_row(member, answer, "*" if picked else ""), style="bold green" if picked else "")
    return table


def show_answer(console: Console, answer: Answer, folder: Path) -> None:
    """Print the front, what was picked and where everything lies."""
    console.print(front_table(answer))
    if answer.best is None:
        console.print("[yellow]No candidate meets the hard budgets.[/] The rows above are the nearest.")
        for metric, (low, high) in answer.reachable.items():
            console.print(f"  reachable {metric}: {_number(metric, low)} to {_number(metric, high)}")
    else:
        best = answer.member(answer.best)
        base, now = answer.trial0.measurement, best.measurement
        name = "estimated_latency_ms" if "estimate" in answer.target else "latency_ms"
        if name in base and name in now:
            ratio = now[name].value / base[name].value
            what = "estimated latency" if "estimate" in answer.target else "latency"
            console.print(
                f"Pick [bold]{best.id}[/]: {ratio:.2f}x the {what} of the untouched f32 model, ", end=""
            )
        console.print(f"{answer.primary} {format_metric(answer.primary, now[answer.primary])}.")
        console.print(f"  artifact: {escape(str(folder / best.artifact))}")
    for note in answer.notes:
        console.print(f"  note: {escape(note)}", style="dim")
    console.print(f"  run: {escape(str(folder))}   report: {escape(str(folder / 'report.html'))}")


def answer_json(answer: Answer, folder: Path) -> dict[str, Any]:
    """Return the object that ``--json`` prints."""

    def metrics(member: Member) -> dict[str, Any]:
        return {
            name: {"value": m.value, "unit": m.unit, "low": m.low, "high": m.high, "n": m.n}
            for name, m in member.measurement.items()
        }

    def row(member: Member) -> dict[str, Any]:
        # Only targets with kernels of this package tell which of them serves a site.
        served = {"served": [s.to_json() for s in member.served]} if member.served else {}
        timed = {k: v for k, v in member.measurement.facts.items() if k == "latency_timed"}
        return {
            "id": member.id,
            "candidate": member.candidate.as_dict,
            "metrics": metrics(member),
            "budgets": dict(member.budgets),
            "artifact": str(folder / member.artifact) if member.artifact else "",
            **served,
            **timed,
        }

    return {
        "schema": 1,
        "run": str(folder),
        "target": dict(answer.target),
        "latency": "estimated" if "estimate" in answer.target else "measured",
        "quality_metric": answer.primary,
        "trial0": {"metrics": metrics(answer.trial0)},
        "best": answer.best,
        "front": [row(m) for m in answer.front],
        "nearest": [row(m) for m in answer.nearest],
        "reachable": {k: list(v) for k, v in answer.reachable.items()},
        "curves": [c.to_json() for c in answer.curves],
    }
