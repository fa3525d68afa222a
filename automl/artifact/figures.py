"""How metrics read in cards, reports and pictures: a label and a rounded figure with its unit."""

from __future__ import annotations

from automl.core.measurement import METRIC_UNITS

__all__ = ["axis_scale", "format_metric", "metric_label"]

_LABELS = {
    "latency_ms": "latency (median)",
    "latency_p95_ms": "latency (p95)",
    "predicted_latency_ms": "latency (predicted)",
    "estimated_latency_ms": "latency (estimated)",
    "size_bytes": "size",
    "memory_bytes": "memory while serving",
    "memory_peak_bytes": "memory (peak of loading)",
    "artifact_bytes": "artifact on disk",
    "macs": "multiply-accumulates",
    "bops": "bit operations",
    "weight_bits": "bits per weight",
    "kl": "KL divergence",
    "psnr_db": "PSNR",
    "drop": "quality lost",
}
_FRACTIONS = ("accuracy", "agreement", "drop", "cosine")
_SCALED = {
    "size_bytes": "B",
    "memory_bytes": "B",
    "memory_peak_bytes": "B",
    "artifact_bytes": "B",
    "macs": "",
    "bops": "",
}


def metric_label(name: str) -> str:
    """Return the words for a metric; unknown names read as they are."""
    return _LABELS.get(name, name.replace("_", " "))


def format_metric(name: str, value: float) -> str:
    """Return ``value`` of metric ``name`` rounded for reading, with its unit."""
    if name in _FRACTIONS:
        return f"{value * 100:.2f} %"
    if name in _SCALED:
        for scale, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if abs(value) >= scale:
                return f"{value / scale:.2f} {prefix}{_SCALED[name]}".rstrip()
        return f"{value:.0f} {_SCALED[name]}".rstrip()
    unit = METRIC_UNITS.get(name, "")
    if unit == "ms":
        return f"{value:.{3 if abs(value) < 1 else 2 if abs(value) < 100 else 1}f} ms"
    return f"{value:.4g} {unit}".rstrip()


def axis_scale(name: str) -> tuple[float, str]:
    """Return (factor, unit) in which an axis of ``name`` is labelled: percent, megabytes, its own unit."""
    if name in _FRACTIONS:
        return 100.0, "%"
    if name in _SCALED:
        return (1e-6, "MB") if _SCALED[name] else (1e-6, "M")
    return 1.0, METRIC_UNITS.get(name, "")
