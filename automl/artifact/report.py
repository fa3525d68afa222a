"""The report: one self-contained HTML file, drawn by its own script from the JSON inside it."""

from __future__ import annotations

import html
import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from automl.core.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from automl.artifact.report_data import ReportData

__all__ = ["asset_text", "page_html", "report_html", "write_page", "write_report"]

_SCRIPTS = ("draw.js", "front.js", "panels.js", "curves.js", "page.js")


def asset_text(name: str) -> str:
    """Return a file that is built into every page."""
    return files("automl.artifact").joinpath("assets", name).read_text(encoding="utf-8")


def _embedded(body: Mapping[str, Any]) -> str:
    """Return JSON that no text inside it can end early: ``<``, ``>`` and ``&`` are escaped as JSON allows."""
    text = json.dumps(body, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def report_html(data: ReportData) -> str:
    """Return the page as text; equal data gives equal text."""
    return page_html(data.to_json())


def page_html(body: Mapping[str, Any]) -> str:
    """Return the page of stored report data, see ``ReportData.to_json``."""
    # The data goes in last, so that a user's name which looks like a slot is not filled.
    slots = {
        "style": asset_text("report.css"),
        "script": "\n".join(asset_text(name) for name in _SCRIPTS),
        "title": html.escape(str(body["title"])),
        "data": _embedded(body),
    }
    parts = asset_text("report.html").split("{{")
    page = [parts[0]]
    for part in parts[1:]:
        name, rest = part.split("}}", maxsplit=1)
        page += [slots[name], rest]
    return "".join(page)


def write_report(data: ReportData, path: Path | str) -> Path:
    """Write the report and return its path; the file appears in one rename.

    Raises:
        ArtifactError: the file cannot be written.
    """
    return write_page(data.to_json(), path)


def write_page(body: Mapping[str, Any], path: Path | str) -> Path:
    """Write the page of stored report data and return its path; the file appears in one rename.

    Raises:
        ArtifactError: the file cannot be written.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(page_html(body), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise ArtifactError(
            f"cannot write the report {path}: {error.strerror or error}; choose a folder that can be written"
        ) from error
    return path
