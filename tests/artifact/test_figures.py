from __future__ import annotations

import pytest

from automl.artifact.figures import format_metric
from automl.artifact.figures import metric_label


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("latency_ms", 3.25678, "3.257 ms"),
        ("accuracy", 0.884, "88.40 %"),
        ("size_bytes", 4_210_000, "4.21 MB"),
        ("size_bytes", 12, "12 B"),
        ("macs", 385e6, "385.00 M"),
        ("kl", 0.01834, "0.01834 nat"),
        ("unheard_of", 2.0, "2"),
    ],
)
def test_figures_read_with_their_unit(name, value, text):
    assert format_metric(name, value) == text


def test_unknown_metrics_keep_their_name():
    assert metric_label("psnr_y") == "psnr y"
    assert metric_label("kl") == "KL divergence"
