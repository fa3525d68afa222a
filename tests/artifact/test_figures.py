from __future__ import annotations

import pytest

from automl.artifact.figures import axis_scale
from automl.artifact.figures import format_metric
from automl.artifact.figures import metric_label


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("latency_ms", 3.25678, "3.26 ms"),
        ("accuracy", 0.884, "88.40 %"),
        ("size_bytes", 4_210_000, "4.21 MB"),
        ("size_bytes", 12, "12 B"),
        ("memory_peak_bytes", 62_270_000, "62.27 MB"),
        ("macs", 385e6, "385.00 M"),
        ("latency_ms", 0.0421, "0.042 ms"),
        ("latency_ms", 412.0, "412.0 ms"),
        ("kl", 0.01834, "0.01834 nat"),
        ("unheard_of", 2.0, "2"),
    ],
)
def test_figures_read_with_their_unit(name, value, text):
    assert format_metric(name, value) == text


def test_axes_read_in_handy_units():
    assert axis_scale("accuracy") == (100.0, "%")
    assert axis_scale("size_bytes") == (1e-6, "MB")
    assert axis_scale("latency_ms") == (1.0, "ms")


def test_unknown_metrics_keep_their_name():
    assert metric_label("psnr_y") == "psnr y"
    assert metric_label("kl") == "KL divergence"
