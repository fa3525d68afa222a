"""The model card: what the model is, what was measured, how to load it, what it cannot do, in Markdown."""

from __future__ import annotations

import html
from collections import Counter
from typing import TYPE_CHECKING

from automl.artifact.figures import format_metric
from automl.artifact.figures import metric_label
from automl.artifact.manifest import GRAPH_FILE

if TYPE_CHECKING:
    from automl.artifact.manifest import ArtifactInfo
    from automl.artifact.manifest import Manifest

__all__ = ["model_card"]

#: Options whose weights are stored in fewer bits than the runtime computes with.
_STORAGE_ONLY = ("w2a8", "w3a8", "w4a8", "w6a8")


def _plain(text: object) -> str:
    """Return user text that Markdown and HTML read as text alone."""
    flat = " ".join(str(text).split())
    escaped = html.escape(flat, quote=False)
    for sign in "\\`*_[]|#":
        escaped = escaped.replace(sign, "\\" + sign)
    return escaped


def _measured(info: ArtifactInfo) -> list[str]:
    lines = ["| metric | this model | 95 % interval | n | untouched model |", "|---|---|---|---|---|"]
    for name, metric in info.measurement.items():
        interval = "exact"
        if metric.low != metric.high:
            interval = f"{format_metric(name, metric.low)} to {format_metric(name, metric.high)}"
        before = info.baseline[name].value if info.baseline is not None and name in info.baseline else None
        other = "" if before is None else format_metric(name, before)
        value = format_metric(name, metric.value)
        lines.append(f"| {_plain(metric_label(name))} | {value} | {interval} | {metric.n} | {other} |")
    return lines


def _limits(info: ArtifactInfo, direct: bool) -> list[str]:
    estimated = "estimated_latency_ms" in info.measurement
    lines = [
        "- The latency above is **estimated** by a roofline and was not measured."
        if estimated
        else "- The latency holds for the machine, thread count and input shape below; measure again "
        "elsewhere with `automl bench`.",
        "- Quality was measured on the run's evaluation samples; the interval covers their sampling.",
    ]
    if any(option in _STORAGE_ONLY for option in info.precisions.values()):
        lines.append(
            "- Weights below 8 bits with 8-bit activations save bytes on disk; they run at the speed of int8."
        )
    if not direct:
        lines.append(
            "- `model.onnx` holds bit-packed weights; write a plain file with `Artifact.write_onnx` first."
        )
    return [*lines, *(f"- {_plain(note)}" for note in info.notes)]


def model_card(manifest: Manifest) -> str:
    """Return the card of an artifact."""
    info = manifest.info
    counts = Counter(info.precisions.values())
    mix = ", ".join(f"{_plain(option)} at {n}" for option, n in counts.most_common()) or "none"
    facts = [(k, v) for k, v in {**info.machine}.items() if not isinstance(v, dict | list)]
    versions = ", ".join(f"{_plain(k)} {_plain(v)}" for k, v in info.versions.items())
    onnx = GRAPH_FILE in manifest.files
    parts = [
        f"# {_plain(info.name)} ({info.candidate.digest[:8]})",
        "",
        f"A compressed model for {_plain(info.target)}, found by automl. Precision by site: {mix} "
        f"of {len(info.precisions)} sites; everything else in {_plain(info.float_type)}. "
        f"Graph and weights take {format_metric('size_bytes', manifest.size_bytes)}.",
        "",
        "## Measured, latency estimated" if "estimated_latency_ms" in info.measurement else "## Measured",
        "",
        *_measured(info),
        "",
    ]
    if info.budgets:
        parts += [
            "## Budgets",
            "",
            *(f"- {_plain(k)}: {'met' if v else 'not met'}" for k, v in info.budgets.items()),
            "",
        ]
    parts += [
        "## Load",
        "",
        "```python",
        "import automl",
        "",
        'artifact = automl.load("path/to/this/folder")',
        "outputs = artifact.predict(batch)",
        *(['artifact.export("model.onnx", to="onnx")  # or to="openvino"'] if onnx else []),
        "```",
        "",
        "## Limits",
        "",
        *_limits(info, manifest.direct),
        "",
        "## Provenance",
        "",
        f"- runtime: {_plain(info.runtime)}, {info.threads} threads",
        *(f"- {_plain(k)}: {_plain(v)}" for k, v in facts),
        f"- packages: {versions or 'not recorded'}",
        f"- commit: {_plain(info.commit or 'unknown')}",
        f"- created: {_plain(info.created or 'unknown')}",
        f"- candidate: {_plain(info.candidate.digest)}",
        "",
    ]
    return "\n".join(parts)
