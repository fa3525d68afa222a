"""A roofline as a picture: intensity to the right, speed upwards, both logarithmic, a dot an operator."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automl.artifact.profile_data import ProfileData
    from automl.artifact.profile_data import ProfileRow

__all__ = ["decades", "roofline_svg"]

_WIDTH, _HEIGHT = 860, 500
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 834, 64, 430
_COLORS = {
    "linear": "#2457d6",
    "conv": "#2457d6",
    "attention": "#c2410c",
    "matmul": "#c2410c",
    "embedding": "#7a5bd0",
    "norm": "#159a8c",
    "softmax": "#159a8c",
}
_OTHER = "#8791a1"
_STYLE = (
    "text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#5d6675}"
    ".t{font-size:17px;font-weight:650;fill:#14181f}.a{font-weight:600;fill:#14181f}.g{stroke:#eceff3}"
    ".r{fill:none;stroke:#14181f;stroke-width:1.6}.rl{fill:#14181f;font-weight:600;font-size:11px}"
    ".e{fill:none;stroke-width:1.4;opacity:.75}.m{stroke:#fff;stroke-width:1}.d{stroke:#c4cad3;opacity:.7}"
)
_UNITS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def decades(low: float, high: float) -> list[float]:
    """Return the powers of ten within [low, high]."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    return [10.0**i for i in range(first, last + 1)]


def _short(value: float) -> str:
    factor, letter = next((u for u in _UNITS if value >= u[0]), (1.0, ""))
    return f"{value / factor:g} {letter}".strip() if value >= 1 else f"{value:g}"


class _Axis:
    """Maps a positive value to a pixel by its logarithm."""

    def __init__(self, values: list[float], start: float, stop: float) -> None:
        self.low, self.high = min(values) / 1.6, max(values) * 1.6
        self._start, self._stop = start, stop

    def __call__(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self._start + share * (self._stop - self._start), 2)


def _text(kind: str, x: float, y: float, anchor: str, text: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _speeds(row: ProfileRow) -> Iterator[tuple[str, float]]:
    """Yield (``e`` estimated or ``m`` measured, operations a second)."""
    yield "e", 1e3 * row.ops / row.estimated_ms
    if row.measured_ms:
        yield "m", 1e3 * row.ops / row.measured_ms


def _roofs(data: ProfileData, x: _Axis, y: _Axis) -> list[str]:
    parts = []
    for name, peak in sorted(data.peaks.items(), key=lambda pair: pair[1]):
        bend = peak / data.bandwidth
        start = max(x.low, y.low / data.bandwidth)
        points = [(start, start * data.bandwidth)] if start < bend else []
        points += [(min(max(bend, x.low), x.high), peak), (x.high, peak)]
        if bend > x.high:
            points = [(start, start * data.bandwidth), (x.high, x.high * data.bandwidth)]
        path = "L".join(f"{x(px)},{y(min(py, y.high))}" for px, py in points)
        parts.append(f'<path class="r" d="M{path}"/>')
        if bend <= x.high:
            parts.append(_text("rl", _RIGHT - 4, y(peak) - 5, "end", f"{name} {_short(peak)}op/s"))
    return parts


def _marks(row: ProfileRow, x: _Axis, y: _Axis) -> list[str]:
    color, at = _COLORS.get(row.kind, _OTHER), x(row.intensity)
    speeds = dict(_speeds(row))
    parts = []
    if len(speeds) == 2:
        parts.append(f'<line class="d" x1="{at}" x2="{at}" y1="{y(speeds["e"])}" y2="{y(speeds["m"])}"/>')
    for kind, speed in speeds.items():
        ms = row.estimated_ms if kind == "e" else row.measured_ms
        word = "estimated" if kind == "e" else "measured"
        paint = f'stroke="{color}"' if kind == "e" else f'fill="{color}"'
        parts.append(
            f'<circle class="{kind}" cx="{at}" cy="{y(speed)}" r="4" {paint}>'
            f"<title>{escape(f'{row.name}: {ms:.4g} ms {word}, {row.bound}-bound')}</title></circle>"
        )
    return parts


def roofline_svg(data: ProfileData) -> str:
    """Return the roofline of a profile as an SVG document.

    A ring is the estimate and lies on a roof unless starting the kernel costs more; a dot is what was
    measured. Operators that compute or move nothing are left out.
    """
    rows = [r for r in data.rows if r.ops > 0 and r.moved_bytes > 0 and r.estimated_ms > 0]
    speeds = [speed for row in rows for _, speed in _speeds(row)] or [min(data.peaks.values())]
    bends = [peak / data.bandwidth for peak in data.peaks.values()]
    x = _Axis([*(r.intensity for r in rows), *bends], _LEFT, _RIGHT)
    y = _Axis([*speeds, *data.peaks.values()], _BOTTOM, _TOP)
    title = f"{data.model} on {data.device}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{escape(title)}: roofline</title><style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="10" fill="#fff"/>',
        _text("t", 24, 30, "start", title),
        _text("", 24, 48, "start", data.setting),
    ]
    for value in decades(x.low, x.high):
        at = x(value)
        parts.append(f'<line class="g" x1="{at}" x2="{at}" y1="{_TOP}" y2="{_BOTTOM}"/>')
        parts.append(_text("", at, _BOTTOM + 18, "middle", _short(value)))
    for value in decades(y.low, y.high):
        at = y(value)
        parts.append(f'<line class="g" x1="{_LEFT}" x2="{_RIGHT}" y1="{at}" y2="{at}"/>')
        parts.append(_text("", _LEFT - 8, at + 4, "end", _short(value)))
    legend = "rings: estimated; dots: measured; " if data.measured_ms is not None else "rings: estimated; "
    parts += [
        *_roofs(data, x, y),
        *(part for row in rows for part in _marks(row, x, y)),
        _text("a", _RIGHT, _BOTTOM + 38, "end", "operations a byte"),
        _text("a", 24, _TOP - 2, "start", "op/s"),
        _text(
            "",
            24,
            _HEIGHT - 12,
            "start",
            legend + "blue: layers, orange: attention, violet: tables, green: norms, gray: other",
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
