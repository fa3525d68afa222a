"""The fronts of one problem's cells as SVG: a color a strategy, a staircase a cell."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from automl.artifact.charts import nice_ticks
from automl.artifact.figures import axis_scale
from automl.artifact.figures import format_metric
from automl.artifact.figures import metric_label
from automl.core.measurement import is_maximized

if TYPE_CHECKING:
    from collections.abc import Sequence

    from automl.artifact.sweep_data import CellRow

__all__ = ["fronts_svg", "strategy_colors"]

_WIDTH, _HEIGHT = 1180, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 1160, 30, 345
#: Told apart by people who see few colors, too; used again from the start when there are more strategies.
_COLORS = ("#2457d6", "#c2410c", "#14804a", "#8b3fbf", "#b58900", "#0f8b8d", "#c0262d", "#6b7280")


def strategy_colors(strategies: Sequence[str]) -> dict[str, str]:
    """Return a color for each strategy, in order of first appearance."""
    return {name: _COLORS[i % len(_COLORS)] for i, name in enumerate(dict.fromkeys(strategies))}


class _Scale:
    """Maps values to pixels, with a margin of a twentieth at both ends."""

    def __init__(self, values: Sequence[float], start: float, stop: float) -> None:
        low, high = min(values), max(values)
        pad = 0.05 * ((high - low) or abs(high) or 1.0)
        self.low, self.high = low - pad, high + pad
        self._start, self._stop = start, stop

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self._start + share * (self._stop - self._start), 1)


def _grid(x: _Scale, y: _Scale, metric: str) -> list[str]:
    factor, unit = axis_scale(metric)
    better = "higher" if is_maximized(metric) else "lower"
    parts = [
        f'<line class="gridline" x1="{x(tick)}" y1="{_TOP}" x2="{x(tick)}" y2="{_BOTTOM}"/>'
        f'<text x="{x(tick)}" y="{_BOTTOM + 18}" text-anchor="middle">{tick:g}</text>'
        for tick in nice_ticks(x.low, x.high, 8)
    ]
    for tick in nice_ticks(y.low * factor, y.high * factor, 6):
        at = y(tick / factor)
        parts.append(
            f'<line class="gridline" x1="{_LEFT}" y1="{at}" x2="{_RIGHT}" y2="{at}"/>'
            f'<text x="{_LEFT - 8}" y="{at + 4}" text-anchor="end">{tick:g}</text>'
        )
    name = f"{metric_label(metric)}{', ' + unit if unit else ''} ({better} is better)"
    parts.append(
        f'<text class="axis" x="{_RIGHT}" y="{_BOTTOM + 38}" text-anchor="end">'
        "latency as a multiple of the untouched model's (lower is better)</text>"
        f'<text class="axis" x="{_LEFT - 46}" y="{_TOP - 12}">{escape(name)}</text>'
    )
    return parts


def _stairs(row: CellRow, x: _Scale, y: _Scale, color: str) -> str:
    sign = -1.0 if is_maximized(row.metric) else 1.0
    best, path = math.inf, ""
    for point in sorted(row.front, key=lambda p: (p.latency_ratio, sign * p.quality)):
        if sign * point.quality < best:
            px, py = x(point.latency_ratio), y(point.quality)
            path += f"H{px}V{py}" if path else f"M{px},{py}"
            best = sign * point.quality
    return f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.4" opacity=".4"/>'


def _marks(row: CellRow, x: _Scale, y: _Scale, color: str) -> list[str]:
    shape = f'fill="{color}"' if row.best is not None else f'fill="none" stroke="{color}" stroke-width="1.5"'
    return [
        f'<circle cx="{x(p.latency_ratio)}" cy="{y(p.quality)}" r="{7 if p.pick else 4}" {shape}>'
        f"<title>{escape(row.strategy)}, seed {row.seed}: {escape(p.id)}, {p.latency_ratio:.3f}x, "
        f"{escape(format_metric(row.metric, p.quality))}</title></circle>"
        for p in row.front
    ]


def fronts_svg(rows: Sequence[CellRow], colors: dict[str, str]) -> str:
    """Return the fronts of cells of one problem in one picture; hollow marks break a hard budget.

    Args:
        rows: cells with at least one point, of one quality metric.
        colors: strategy -> color.
    """
    metric = rows[0].metric
    points = [p for row in rows for p in row.front]
    x = _Scale([p.latency_ratio for p in points], _LEFT, _RIGHT)
    y = _Scale([p.quality for p in points], _BOTTOM, _TOP)
    parts = _grid(x, y, metric)
    parts += [_stairs(row, x, y, colors[row.strategy]) for row in rows]
    for row in rows:
        parts += _marks(row, x, y, colors[row.strategy])
    title = f"<title>Fronts of {len(rows)} cells</title>"
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{title}{"".join(parts)}</svg>'
