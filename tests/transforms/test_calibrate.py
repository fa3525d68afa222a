from __future__ import annotations

import numpy as np
import pytest
import torch

from automl.core.errors import ArtifactError
from automl.transforms.calibrate import Calibration
from automl.transforms.calibrate import calibrate
from automl.transforms.calibrate import choose_positions
from automl.transforms.calibrate import held_out


@pytest.fixture(scope="module")
def calibration(small, images):
    return calibrate(small, images, seed=1, batch=16)


def test_moments_are_those_of_the_rows(small, images, calibration):
    x = images.inputs[0]
    columns = torch.nn.functional.unfold(torch.from_numpy(x), 3, padding=1, stride=2).numpy()
    judge = held_out(0, len(x))
    for mask, moments in ((~judge, calibration.moments["stem"]), (judge, calibration.held["stem"])):
        rows = columns[mask].transpose(0, 2, 1).reshape(-1, 27)
        assert moments.count == len(rows)
        assert np.allclose(moments.gram[0], rows.T @ rows / len(rows), atol=1e-4)
        assert np.allclose(moments.covariance[0], np.cov(rows.T, bias=True), atol=1e-4)


def test_depthwise_layers_have_one_matrix_per_channel(calibration):
    assert calibration.moments["deep"].gram.shape == (8, 9, 9)


def test_ranges_are_the_exact_extremes(small, images, calibration):
    seen = calibration.values["x"]
    assert seen.low == images.inputs[0].min()
    assert seen.high == images.inputs[0].max()
    assert seen.counts.sum() == images.inputs[0].size


def test_relu_values_are_recorded_after_the_activation(small, calibration):
    name = next(n.name for n in small.graph.nodes if n.op in {"clamp", "hardtanh"})
    assert calibration.values[name].low >= 0
    assert calibration.values[name].high <= 6


def test_a_saved_calibration_reads_back_equal(tmp_path, calibration):
    path = tmp_path / "calibration.npz"
    calibration.save(path)
    again = Calibration.load(path)
    assert list(again.values) == list(calibration.values)
    for name, value in calibration.values.items():
        assert np.array_equal(value.counts, again.values[name].counts)
        assert (value.reach, value.low, value.high) == (
            again.values[name].reach,
            again.values[name].low,
            again.values[name].high,
        )
    for site, moments in calibration.held.items():
        assert np.array_equal(moments.gram, again.held[site].gram)
        assert moments.count == again.held[site].count
    assert again.n_samples == 48


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "calibration.npz"
    path.write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(ArtifactError, match="calibrate again"):
        Calibration.load(path)


def test_rows_are_bounded_and_reproducible(small, images):
    one, two = (calibrate(small, images, seed=3, batch=16, max_rows=96) for _ in range(2))
    assert one.moments["stem"].count + one.held["stem"].count == 96
    assert np.array_equal(one.moments["stem"].gram, two.moments["stem"].gram)
    other = calibrate(small, images, seed=4, batch=16, max_rows=96)
    assert not np.array_equal(one.moments["stem"].gram, other.moments["stem"].gram)


def test_positions_are_sorted_and_distinct():
    chosen = choose_positions(100, 10, 0, "s", 0)
    assert len(set(chosen.tolist())) == 10
    assert np.all(np.diff(chosen) > 0)
    assert choose_positions(5, 10, 0, "s", 0).tolist() == [0, 1, 2, 3, 4]
