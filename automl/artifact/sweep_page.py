"""The report of a sweep: one self-contained HTML file without a script."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from automl.artifact.figures import format_metric
from automl.artifact.figures import metric_label
from automl.artifact.report import asset_text
from automl.artifact.sweep_chart import fronts_svg
from automl.artifact.sweep_chart import strategy_colors
from automl.core.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from automl.artifact.sweep_data import CellRow
    from automl.artifact.sweep_data import StrategySummary
    from automl.artifact.sweep_data import SweepReport

__all__ = ["sweep_html", "write_sweep_page"]

_STATES = {"done": "good", "failed": "bad", "interrupted": "warn", "pending": "muted"}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def _table(heads: Sequence[tuple[str, str]], rows: Sequence[Sequence[tuple[str, str]]]) -> str:
    """Return a table of (text, class) cells; the text is HTML."""

    def cells(tag: str, row: Sequence[tuple[str, str]]) -> str:
        return "".join(f'<{tag} class="{kind}">{text}</{tag}>' for text, kind in row)

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    head = f"<thead><tr>{cells('th', heads)}</tr></thead>"
    return f'<div class="scroll"><table>{head}<tbody>{body}</tbody></table></div>'


def _spread(values: tuple[float, float, float] | None, show: str, metric: str = "") -> str:
    """Return a median with its quartiles in brackets."""
    if values is None:
        return '<span class="muted">none</span>'
    texts = [format_metric(metric, v) if metric else show.format(v) for v in values]
    return escape(texts[1] if len(set(texts)) == 1 else f"{texts[1]} [{texts[0]}, {texts[2]}]")


def _comparison(summaries: Sequence[StrategySummary], colors: dict[str, str]) -> str:
    heads = [("strategy", ""), ("seeds", "num"), ("budgets met", "num"), ("quality of the pick", "num")]
    heads += [("latency, x untouched", "num"), ("front covers", "num"), ("seconds", "num")]
    rows = [
        [
            (f'<i class="swatch dot" style="background:{colors[s.strategy]}"></i> {escape(s.strategy)}', ""),
            (str(s.cells), "num"),
            (f"{s.met} of {s.cells}", f"num {'good' if s.met == s.cells else 'bad'}"),
            (_spread(s.quality, "", s.metric), "num"),
            (_spread(s.latency_ratio, "{:.3f}"), "num"),
            (_spread(s.covered, "{:.3f}"), "num"),
            (_spread(s.seconds, "{:.0f}"), "num"),
        ]
        for s in summaries
    ]
    return _table(heads, rows)


def _problem(report: SweepReport, problem: tuple[str, str, str], colors: dict[str, str]) -> str:
    rows = [row for row in report.rows if row.problem == problem and row.front]
    own = [s for s in report.summaries if s.problem == problem]
    model, target, budget = map(escape, problem)
    title = f"<h2>{model} on {target}, {budget}</h2>"
    if not own:
        return f'<section class="card">{title}<p class="hint">No cell of it is finished.</p></section>'
    hint = (
        f"Confirmed models by latency and {escape(metric_label(own[0].metric))}; large marks are the picks. "
        "Front covers: share of the rectangle of all fronts that lies behind a cell's own front."
    )
    chart = fronts_svg(rows, colors) if rows else ""
    return (
        f'<section class="card">{title}<p class="hint">{hint}</p>{chart}{_comparison(own, colors)}</section>'
    )


def _cell(row: CellRow) -> list[tuple[str, str]]:
    ending = row.state if row.state != "done" or row.best else "done, budgets not met"
    state = f'<span class="{_STATES.get(row.state, "muted")}">{ending}</span>'
    link = f'<a href="{escape(row.link)}">report</a>' if row.link else ""
    best = row.best
    return [
        (escape(row.model), ""),
        (escape(row.target), ""),
        (escape(row.budget), ""),
        (escape(row.strategy), ""),
        (str(row.seed), "num"),
        (state, ""),
        (escape(format_metric(row.metric, best.quality)) if best else "", "num"),
        (f"{best.latency_ratio:.3f}" if best else "", "num"),
        (f"{row.size_ratio:.3f}" if row.size_ratio is not None else "", "num"),
        (str(len(row.front)) if row.front else "", "num"),
        (f"{row.trials}, {row.failed_trials} failed" if row.failed_trials else str(row.trials), "num"),
        (f"{row.seconds:.0f}", "num"),
        (link or escape(row.reason), ""),
    ]


def _cells(rows: Sequence[CellRow]) -> str:
    heads = [("model", ""), ("target", ""), ("budget", ""), ("strategy", ""), ("seed", "num"), ("state", "")]
    heads += [("quality", "num"), ("latency, x", "num"), ("size, x", "num"), ("front", "num")]
    heads += [("trials", "num"), ("seconds", "num"), ("", "")]
    return _table(heads, [_cell(row) for row in rows])


def _numbers(report: SweepReport) -> str:
    rows = report.rows
    met = sum(row.best is not None and row.state == "done" for row in rows)
    facts = [
        ("cells", str(len(rows)), ""),
        ("done", str(sum(row.state == "done" for row in rows)), ""),
        ("budgets met", str(met), "good" if met == len(rows) else ""),
        ("failed", str(sum(row.state == "failed" for row in rows)), ""),
        ("hours", f"{sum(row.seconds for row in rows) / 3600:.2f}", ""),
    ]
    return "".join(
        f'<div class="card kpi"><div class="name">{name}</div><div class="value {kind}">{value}</div></div>'
        for name, value, kind in facts
    )


def _failures(rows: Sequence[CellRow]) -> str:
    failed = [row for row in rows if row.state == "failed"]
    if not failed:
        return ""
    lines = "".join(f"<tr><td>{escape(row.name)}</td><td>{escape(row.reason)}</td></tr>" for row in failed)
    return f'<section class="card"><h2>What failed</h2><table><tbody>{lines}</tbody></table></section>'


def sweep_html(report: SweepReport) -> str:
    """Return the page as text; equal reports give equal text."""
    colors = strategy_colors([row.strategy for row in report.rows])
    problems = dict.fromkeys(row.problem for row in report.rows)
    settings = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in report.settings)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{escape(report.title)} · automl sweep</title>
<style>
{asset_text("report.css")}
main > section {{ margin-bottom: 16px; }}
</style>
</head>
<body>
<main>
<header class="top"><div><h1>{escape(report.title)}</h1>
<div class="sub">sweep of {len(report.rows)} searches</div></div>
<div class="brand"><b>automl</b> {escape(report.created)}</div></header>
<div class="grid cols-kpi">{_numbers(report)}</div>
{"".join(_problem(report, problem, colors) for problem in problems)}
<section class="card"><h2>Cells</h2>{_cells(report.rows)}</section>
{_failures(report.rows)}
<section class="card"><h2>Settings of every cell</h2><table><tbody>{settings}</tbody></table></section>
</main>
</body>
</html>
"""


def write_sweep_page(report: SweepReport, path: Path) -> Path:
    """Write the page and return its path; the file appears in one rename.

    Raises:
        ArtifactError: the file cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(sweep_html(report), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise ArtifactError(
            f"cannot write the report {path}: {error.strerror or error}; choose a folder that can be written"
        ) from error
    return path
