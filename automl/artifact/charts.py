"""A front as a still picture: SVG for a README or a paper, legible on light and dark pages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from automl.artifact.figures import axis_scale
from automl.artifact.figures import metric_label
from automl.core.measurement import is_maximized

if TYPE_CHECKING:
    from collections.abc import Sequence

    from automl.artifact.report_data import BudgetLine
    from automl.artifact.report_data import ReportData
    from automl.artifact.report_data import ReportTrial

__all__ = ["front_svg", "nice_ticks"]

_WIDTH, _HEIGHT = 860, 480
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 834, 64, 410
_STYLE = (
    "text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#5d6675}"
    ".t{font-size:17px;font-weight:650;fill:#14181f}.a{font-weight:600;fill:#14181f}"
    ".g{stroke:#eceff3}.b{stroke:#c0262d;stroke-width:1.4;stroke-dasharray:5 4}"
    ".bl{fill:#c0262d;font-weight:600;font-size:11px}.s{fill:none;stroke:#2457d6;stroke-width:1.6;opacity:.45}"
    ".w{stroke:#2457d6;stroke-width:1.2;opacity:.5}.p{fill:#aab3c2}.f{fill:#2457d6;stroke:#fff;stroke-width:1.5}"
    ".k{fill:#c2410c;stroke:#fff;stroke-width:1.5}.o{fill:#14181f}"
)


def nice_ticks(low: float, high: float, wanted: int) -> list[float]:
    """Return about ``wanted`` round numbers within [low, high]; steps are 1, 2, 2.5 or 5 x 10**k."""
    raw = (high - low) / wanted if high > low else 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


class _Axis:
    """Maps a metric's value to a pixel."""

    def __init__(self, name: str, values: Sequence[float], start: float, stop: float) -> None:
        low, high = min(values), max(values)
        pad = 0.08 * ((high - low) or abs(high) or 1.0)
        self.name, self.low, self.high = name, low - pad, high + pad
        self._start, self._stop = start, stop
        self._factor, self._unit = axis_scale(name)

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self._start + share * (self._stop - self._start), 2)

    def contains(self, value: float) -> bool:
        return self.low <= value <= self.high

    def ticks(self, wanted: int) -> list[tuple[float, str]]:
        scaled = nice_ticks(self.low * self._factor, self.high * self._factor, wanted)
        return [(self(v / self._factor), f"{v:g}") for v in scaled]

    @property
    def title(self) -> str:
        better = " (higher is better)" if is_maximized(self.name) else " (lower is better)"
        return f"{metric_label(self.name)}{', ' + self._unit if self._unit else ''}{better}"


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'


def _text(kind: str, x: float, y: float, anchor: str, text: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _frame(x: _Axis, y: _Axis) -> list[str]:
    parts = []
    for at, text in x.ticks(7):
        parts += [_line("g", at, _TOP, at, _BOTTOM), _text("", at, _BOTTOM + 18, "middle", text)]
    for at, text in y.ticks(6):
        parts += [_line("g", _LEFT, at, _RIGHT, at), _text("", _LEFT - 8, at + 4, "end", text)]
    parts.append(_text("a", _RIGHT, _BOTTOM + 38, "end", x.title))
    parts.append(_text("a", _LEFT - 46, _TOP - 12, "start", y.title))
    return parts


def _budgets(budgets: Sequence[BudgetLine], x: _Axis, y: _Axis) -> list[str]:
    parts = []
    for budget in budgets:
        if budget.metric == x.name and x.contains(budget.limit):
            at = x(budget.limit)
            parts += [
                _line("b", at, _TOP, at, _BOTTOM),
                _text("bl", at + 6, _BOTTOM - 8, "start", budget.text),
            ]
        if budget.metric == y.name and y.contains(budget.limit):
            at = y(budget.limit)
            parts += [_line("b", _LEFT, at, _RIGHT, at), _text("bl", _RIGHT - 4, at - 6, "end", budget.text)]
    return parts


def _stairs(front: Sequence[ReportTrial], x: _Axis, y: _Axis) -> str:
    sign = -1.0 if is_maximized(y.name) else 1.0
    best, path = math.inf, ""
    for trial in sorted(front, key=lambda t: (t.metrics[x.name].value, sign * t.metrics[y.name].value)):
        loss = sign * trial.metrics[y.name].value
        if loss < best:
            px, py = x(trial.metrics[x.name].value), y(trial.metrics[y.name].value)
            path += f"H{px}V{py}" if path else f"M{px},{py}"
            best = loss
    return f'<path class="s" d="{path}"/>'


def _mark(trial: ReportTrial, x: _Axis, y: _Axis) -> list[str]:
    mx, my = trial.metrics[x.name], trial.metrics[y.name]
    cx, cy = x(mx.value), y(my.value)
    if trial.number == 0:
        return [
            f'<path class="o" d="M{cx},{cy - 8}l8,8l-8,8l-8,-8z"/>',
            _text("a", cx, cy - 14, "middle", "untouched"),
        ]
    if not trial.on_front:
        return [f'<circle class="p" cx="{cx}" cy="{cy}" r="3.5"/>']
    whiskers = [_line("w", x(mx.low), cy, x(mx.high), cy), _line("w", cx, y(my.low), cx, y(my.high))]
    kind, radius = ("k", 8) if trial.pick else ("f", 6)
    return [*whiskers, f'<circle class="{kind}" cx="{cx}" cy="{cy}" r="{radius}"/>']


def front_svg(data: ReportData) -> str:
    """Return the front of the first two objectives as an SVG document.

    Draws measured trials, budgets, the staircase of the front with 95 % intervals, the pick and trial 0.
    Dominated trials and budgets that would widen the range of front and trial 0 by more than half at one end
    are left out.
    """
    x_name, y_name = data.objectives[:2]
    shown = [t for t in data.trials if x_name in t.metrics and y_name in t.metrics]
    key = [t for t in shown if t.on_front or t.number == 0]

    def axis(name: str, start: float, stop: float) -> _Axis:
        ends = [v for t in key for v in (t.metrics[name].low, t.metrics[name].high)]
        reach = 0.5 * (max(ends) - min(ends))
        near = [b.limit for b in data.budgets if b.metric == name]
        extra = [t.metrics[name].value for t in shown]
        kept = [v for v in (*near, *extra) if min(ends) - reach <= v <= max(ends) + reach]
        return _Axis(name, [*ends, *kept], start, stop)

    x, y = axis(x_name, _LEFT, _RIGHT), axis(y_name, _BOTTOM, _TOP)
    inside = [t for t in shown if x.contains(t.metrics[x_name].value) and y.contains(t.metrics[y_name].value)]
    inside.sort(key=lambda t: (t.pick, t.number == 0, t.on_front))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{escape(data.title)}: measured front</title><style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="10" fill="#fff"/>',
        _text("t", 24, 30, "start", data.title),
        _text("", _RIGHT, 30, "end", data.subtitle),
        *_frame(x, y),
        *_budgets(data.budgets, x, y),
        _stairs([t for t in shown if t.on_front], x, y),
        *(part for trial in inside for part in _mark(trial, x, y)),
        _text(
            "",
            24,
            _HEIGHT - 14,
            "start",
            "blue: measured front with 95 % intervals; orange: the pick; gray: other trials",
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
