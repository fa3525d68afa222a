from __future__ import annotations

import numpy as np
import pytest

from automl.core.errors import ModelError
from automl.core.errors import SpaceError
from automl.transforms.calibrate import calibrate
from automl.transforms.layer_rounding import QuantizerSettings
from automl.transforms.plan import QuantizationRules
from automl.transforms.quantization_math import dequantize_symmetric
from automl.transforms.quantize import Quantizer
from automl.transforms.rounding_math import quadratic_error


@pytest.fixture(scope="module")
def quantizer(small, images):
    return Quantizer(small, calibrate(small, images, batch=16), QuantizationRules())


def held_error(quantizer, site, weight):
    rows = quantizer.rows(site)
    moments, held = quantizer.calibration.moments[site], quantizer.calibration.held[site]
    values = dequantize_symmetric(weight.codes, weight.scale, weight.group)
    difference = rows.matrices(quantizer.float_weight(site)) - rows.matrices(values)
    drift = np.einsum("grc,gc->gr", difference, held.mean - moments.mean) ** 2
    return quadratic_error(difference, held.covariance) + drift


@pytest.mark.parametrize("site", ["stem", "deep", "point", "head"])
def test_no_row_is_worse_than_nearest_on_held_out_samples(small, quantizer, site):
    plain = Quantizer(
        small, quantizer.calibration, QuantizationRules(), settings=QuantizerSettings(compensate_below=2)
    )
    better = held_error(quantizer, site, quantizer.weight(site, "w3a8"))
    nearest = held_error(quantizer, site, plain.weight(site, "w3a8"))
    assert np.all(better <= nearest * (1 + 1e-4) + 1e-9)
    if site != "head":
        assert better.sum() < nearest.sum()


def test_weights_are_cached_and_shared_by_options_with_equal_weights(quantizer):
    assert quantizer.weight("stem", "w8a8") is quantizer.weight("stem", "w8")
    assert quantizer.weight("stem", "w4a8") is not quantizer.weight("stem", "w8")


def test_the_corrected_bias_keeps_the_calibration_mean(quantizer):
    weight = quantizer.weight("point", "w2a8")
    rows = quantizer.rows("point")
    mean = quantizer.calibration.moments["point"].mean
    full = rows.matrices(quantizer.float_weight("point"))
    small = rows.matrices(dequantize_symmetric(weight.codes, weight.scale))
    before = np.einsum("grc,gc->gr", full, mean).reshape(-1) + quantizer.float_bias("point")
    after = np.einsum("grc,gc->gr", small, mean).reshape(-1) + weight.bias
    assert np.allclose(before, after, atol=1e-4)


def test_readers_of_one_value_share_one_quantizer(quantizer):
    plan = quantizer.plan(dict.fromkeys(["stem", "deep", "point", "head"], "w4a8"))
    by_value = {}
    for (value, _), q in plan.edges.items():
        assert by_value.setdefault(value, q) is q
        assert 0 <= q.zero_point <= 255
    assert len(by_value) < len(plan.edges)


def test_float_sites_are_left_out_of_the_plan(quantizer):
    plan = quantizer.plan({"stem": "fp", "point": "w8a8"})
    assert set(plan.weights) == {"point"}
    assert len(plan.edges) == 1


def test_unknown_sites_and_float_weights_are_refused(quantizer):
    with pytest.raises(ModelError, match="stem"):
        quantizer.plan({"stom": "w8a8"})
    with pytest.raises(SpaceError, match="no quantized weight"):
        quantizer.weight("stem", "fp")
    with pytest.raises(SpaceError, match="calibrated range"):
        quantizer.activation("nothing")


@pytest.mark.parametrize("rule", ["lp", "percentile", "minmax"])
def test_range_rules_stay_within_what_was_seen(small, quantizer, rule):
    other = Quantizer(
        small, quantizer.calibration, QuantizationRules(), settings=QuantizerSettings(activation_rule=rule)
    )
    q = other.activation("x")
    seen = quantizer.calibration.values["x"]
    assert q.scale * 255 <= (seen.high - seen.low) * 1.001
    if rule == "minmax":
        assert q.scale * 255 == pytest.approx(seen.high - seen.low, rel=1e-5)


def test_grouped_weights_have_a_scale_per_group(quantizer):
    weight = quantizer.weight("stem", "w4g64")
    assert weight.scale.shape == (8, 1)
    assert weight.group == 64


def test_weights_keep_to_7_bits_where_8_bit_products_saturate(small, quantizer):
    narrow = Quantizer(small, quantizer.calibration, QuantizationRules(saturating=True))
    for site in ("stem", "deep", "point", "head"):
        weight = narrow.weight(site, "w8a8")
        pair = 2 * 255 * np.abs(weight.codes.astype(int)).max()
        assert pair <= 2**15 - 1
        assert 2 * 255 * np.abs(quantizer.weight(site, "w8a8").codes.astype(int)).max() > 2**15 - 1
        assert not weight.packed
    assert np.array_equal(narrow.weight("head", "w8").codes, quantizer.weight("head", "w8").codes)
    assert narrow.weight("head", "w4a8").bits == 4
