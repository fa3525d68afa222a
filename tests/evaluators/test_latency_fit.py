from __future__ import annotations

import numpy as np
import pytest

from automl.core.rng import child_rng
from automl.evaluators.latency_features import FeatureMap
from automl.evaluators.latency_features import Neighborhood
from automl.evaluators.latency_features import SiteCodes
from automl.evaluators.latency_fit import fit_units

SITES = ("s0", "s1", "s2")


def unit(index, size=1.0, work=1.0):
    before = index - 1
    after = index + 1 if index + 1 < len(SITES) else -1
    return Neighborhood(
        f"n{index}", "conv", index, work, size, (before, -1, -1, after, -1, -1, -1, -1), ((),) * 6
    )


def coded(quantized):
    classes = np.asarray(quantized, dtype=np.int64)
    return SiteCodes(classes, classes.astype(bool), np.zeros(len(classes), dtype=np.int64))


def times_of(quantized, border):
    q = np.asarray(quantized, dtype=float)
    times = np.where(q > 0, 1.0, 3.0)
    for i in range(1, q.shape[1]):
        times[:, i] += border * (q[:, i] != q[:, i - 1])
    return times


def test_level_and_border_are_recovered_exactly():
    units = [unit(i) for i in range(3)]
    features = FeatureMap(3, units)
    quantized = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)] * 8)
    codes = coded(quantized)
    matrix = features.matrix(codes.quantized)
    fitted = fit_units(units, features, matrix, codes, times_of(quantized, 0.5), (1, 2))
    assert np.allclose(fitted.predict(matrix, codes), times_of(quantized, 0.5), atol=0.05)


def test_a_level_that_was_never_seen_comes_from_units_of_the_same_operator():
    units = [unit(i, work=float(i + 1)) for i in range(3)]
    features = FeatureMap(3, units)
    rng = child_rng(0, "fit")
    quantized = (rng.random((60, 3)) < 0.5).astype(np.int64)
    quantized[:, 2] = 0
    times = np.where(quantized > 0, 1.0, 3.0) * np.array([1.0, 2.0, 3.0])
    codes = coded(quantized)
    fitted = fit_units(units, features, features.matrix(codes.quantized), codes, times, (1, 2))
    asked = coded([[0, 0, 1]])
    predicted = fitted.predict(features.matrix(asked.quantized), asked)
    assert predicted[0, 2] == pytest.approx(3.0, rel=0.25)


def test_predictions_are_never_negative():
    units = [unit(i) for i in range(3)]
    features = FeatureMap(3, units)
    codes = coded([[0, 0, 0], [1, 1, 1]] * 4)
    matrix = features.matrix(codes.quantized)
    fitted = fit_units(units, features, matrix, codes, np.zeros((8, 3)), (1, 2))
    assert (fitted.predict(matrix, codes) >= 0).all()
