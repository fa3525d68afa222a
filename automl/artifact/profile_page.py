"""A profile as one HTML file: the roofline, the totals, a row an operator; no script, no network."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from automl.artifact.roofline_chart import roofline_svg
from automl.core.errors import ArtifactError

if TYPE_CHECKING:
    from pathlib import Path

    from automl.artifact.profile_data import ProfileData
    from automl.artifact.profile_data import ProfileRow

__all__ = ["profile_html", "profile_summary", "write_profile"]

_STYLE = (
    "body{font:14px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;color:#14181f;"
    "background:#f5f6f8;margin:0;padding:24px}main{max-width:1080px;margin:auto}h1{font-size:22px;margin:0}"
    "section{background:#fff;border:1px solid #e3e6eb;border-radius:10px;padding:16px;margin:16px 0;"
    "overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "th,td{padding:4px 10px;border-bottom:1px solid #eceff3;text-align:right;white-space:nowrap}"
    "th:first-child,td:first-child,th:nth-child(2),td:nth-child(2){text-align:left}"
    ".memory{color:#2457d6}.compute{color:#c2410c}.launch{color:#5d6675}p{color:#5d6675;margin:4px 0}"
)


def _count(value: float) -> str:
    for scale, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{value / scale:.3g} {letter}"
    return f"{value:.3g}"


def profile_summary(data: ProfileData) -> list[str]:
    """Return the sentences under the title: what is estimated, what was measured, how well they agree."""
    origin = "measured on this machine" if data.device_measured else "from its data sheet"
    lines = [
        f"Estimated: {data.estimated_ms:.4g} ms at least on {data.device}, figures {origin}.",
    ]
    if data.measured_ms is not None:
        lines.append(
            f"Measured: {data.measured_ms:.4g} ms in the operators that {data.runtime} names in its "
            "own profile."
        )
    if data.fit is not None:
        fit = data.fit
        lines.append(
            f"Over {fit.n} operators the ranks of estimated and measured times correlate {fit.rank:.3f}; "
            f"with arithmetic x {fit.compute:.2f}, memory x {fit.memory:.2f} and {1e3 * fit.kernel_ms:.1f} "
            f"us a kernel the mean error is {100 * fit.error:.0f} %."
        )
    if data.cache_bytes_per_token:
        lines.append(f"A token adds {_count(data.cache_bytes_per_token)}B to the cache of keys and values.")
    return [*lines, *data.notes]


def _row(row: ProfileRow, *, measured: bool) -> str:
    cells = [
        html.escape(row.name),
        row.kind,
        _count(row.macs),
        f"{_count(row.moved_bytes)}B",
        f"{row.intensity:.3g}",
        f'<span class="{row.bound}">{row.bound}</span>',
        "" if row.turns_at_rows is None else f"{row.turns_at_rows:.0f}",
        f"{row.estimated_ms:.4g}",
    ]
    if measured:
        cells.append("" if row.measured_ms is None else f"{row.measured_ms:.4g}")
    return "<tr>" + "".join(f"<td>{c}</td>" for c in cells) + "</tr>"


def profile_html(data: ProfileData) -> str:
    """Return the page as text; equal data gives equal text."""
    measured = data.measured_ms is not None
    titles = [
        "operator",
        "kind",
        "MACs",
        "moved",
        "op/byte",
        "bound",
        "compute-bound from rows",
        "estimated ms",
    ]
    titles += ["measured ms"] if measured else []
    title = html.escape(f"{data.model} on {data.device}")
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{title} · automl profile</title><style>{_STYLE}</style></head><body><main>",
            f"<h1>{title}</h1><p>{html.escape(data.setting)}</p>",
            *(f"<p>{html.escape(line)}</p>" for line in profile_summary(data)),
            f"<section>{roofline_svg(data)}</section>",
            "<section><table><thead><tr>",
            "".join(f"<th>{t}</th>" for t in titles),
            "</tr></thead><tbody>",
            *(_row(row, measured=measured) for row in data.rows),
            "</tbody></table></section></main></body></html>",
            "",
        ]
    )


def write_profile(data: ProfileData, path: Path) -> Path:
    """Write the page, or the picture alone when the file ends in ``.svg``, and return its path.

    Raises:
        ArtifactError: the file cannot be written.
    """
    text = roofline_svg(data) if path.suffix == ".svg" else profile_html(data)
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise ArtifactError(
            f"cannot write the profile {path}: {error.strerror or error}; choose a folder that can be written"
        ) from error
    return path
