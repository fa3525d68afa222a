"""The quantizer of a value, from its histogram."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.transforms.plan import ActivationQuantizer
from automl.transforms.quantization_math import affine_parameters
from automl.transforms.ranges_math import lp_range
from automl.transforms.ranges_math import percentile_range

if TYPE_CHECKING:
    from automl.transforms.calibrate import ValueHistogram
    from automl.transforms.layer_rounding import QuantizerSettings

__all__ = ["activation_quantizer"]


def activation_quantizer(histogram: ValueHistogram, settings: QuantizerSettings) -> ActivationQuantizer:
    """Return the 8-bit quantizer of a value by the settings' range rule."""
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    if settings.activation_rule == "lp":
        low, high = lp_range(
            histogram.counts,
            histogram.reach,
            low,
            high,
            p=settings.activation_power,
            steps=settings.grid_steps,
        )
    elif settings.activation_rule == "percentile":
        low, high = percentile_range(
            histogram.counts, histogram.reach, low, high, percentile=settings.percentile
        )
    return ActivationQuantizer(*affine_parameters(low, high))
