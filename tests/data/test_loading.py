from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torch.utils.data import TensorDataset

from automl.core.errors import DataError
from automl.core.samples import Samples
from automl.data.loading import load_data
from tests.data.toy_models import image_model
from tests.data.toy_models import language_model
from tests.data.toy_models import vector_model


def _samples(n, labelled=True):
    """Samples whose first number is their position."""
    inputs = np.tile(np.arange(n, dtype=np.float32)[:, None], (1, 5))
    return Samples((inputs,), np.arange(n) % 3 if labelled else None)


def _positions(samples):
    return samples.inputs[0][:, 0].astype(int).tolist()


def test_large_data_is_split_without_overlap():
    splits = load_data(_samples(50), vector_model(), calibration=20, evaluation=30, seed=0)
    calibration, evaluation = _positions(splits.calibration), _positions(splits.evaluation)
    assert sorted(calibration + evaluation) == list(range(50))
    assert splits.notes == ()
    assert splits.labelled
    np.testing.assert_array_equal(splits.evaluation.labels, np.array(evaluation) % 3)


def test_small_data_overlaps_and_says_so():
    splits = load_data(_samples(50), vector_model(), calibration=20, evaluation=50, seed=0)
    assert sorted(_positions(splits.evaluation)) == list(range(50))
    assert len(set(_positions(splits.calibration))) == 20
    assert any("20 of the 20 calibration samples" in note for note in splits.notes)


def test_partial_overlap_is_counted_right():
    splits = load_data(_samples(10), vector_model(), calibration=4, evaluation=8, seed=0)
    shared = set(_positions(splits.calibration)) & set(_positions(splits.evaluation))
    assert len(shared) == 2
    assert any("2 of the 4 calibration" in note for note in splits.notes)


def test_fewer_samples_than_wanted_are_said():
    splits = load_data(_samples(6), vector_model(), calibration=10, evaluation=100, seed=0)
    assert (len(splits.calibration), len(splits.evaluation)) == (6, 6)
    assert any("has 6 samples" in note for note in splits.notes)


def test_seed_decides_the_split_and_the_fingerprint():
    def split(seed):
        return load_data(_samples(50), vector_model(), calibration=20, evaluation=20, seed=seed)

    assert split(0).fingerprint == split(0).fingerprint
    assert split(0).fingerprint != split(1).fingerprint
    assert _positions(split(0).evaluation) != sorted(_positions(split(0).evaluation))


def test_inputs_are_brought_to_the_models_types():
    doubles = Samples((np.ones((4, 5)),))
    splits = load_data(doubles, vector_model(), calibration=2, evaluation=2, seed=0)
    assert splits.evaluation.inputs[0].dtype == np.float32
    assert not splits.labelled
    ids = Samples((np.ones((4, 4), dtype=np.int32),))
    tokens = load_data(ids, language_model(4), calibration=2, evaluation=2, seed=0)
    assert tokens.evaluation.inputs[0].dtype == np.int64


def test_loader_is_accepted():
    loader = DataLoader(TensorDataset(torch.zeros(8, 5)), batch_size=4)
    splits = load_data(loader, vector_model(), calibration=4, evaluation=4, seed=0)
    assert (len(splits.calibration), len(splits.evaluation)) == (4, 4)


def test_path_decides_the_kind(tmp_path):
    np.savez(tmp_path / "d.npz", input_0=np.zeros((4, 5)))
    assert load_data(str(tmp_path / "d.npz"), vector_model(), calibration=2, evaluation=2, seed=0).name
    (tmp_path / "d.txt").write_text("a b c d " * 8)
    text = load_data(str(tmp_path / "d.txt"), language_model(4), calibration=2, evaluation=2, seed=0)
    assert text.evaluation.inputs[0].shape == (2, 4)
    folder = tmp_path / "images"
    folder.mkdir()
    from PIL import Image

    for i in range(4):
        Image.new("RGB", (9, 9), (i, i, i)).save(folder / f"{i}.png")
    images = load_data(str(folder), image_model(), calibration=2, evaluation=2, seed=0)
    assert images.evaluation.inputs[0].shape == (2, 3, 8, 8)


def test_nothing_given_is_the_embedded_default():
    splits = load_data(None, image_model((16, 16)), calibration=128, evaluation=256, seed=0)
    assert (len(splits.calibration), len(splits.evaluation)) == (128, 256)
    assert "no data given" in splits.notes[0]
    both = {a.tobytes() for a in (*splits.calibration.inputs[0], *splits.evaluation.inputs[0])}
    assert len(both) == 384


@pytest.mark.parametrize(
    ("spec", "model", "says"),
    [
        ("no/such/place", vector_model(), "does not exist"),
        (Samples((np.zeros((4, 6)),)), vector_model(), r"of shape 6 a sample and model 'toy' takes 5"),
        (Samples((np.zeros((4, 5)), np.zeros((4, 5)))), vector_model(), "of shape 5, 5 a sample"),
        (Samples((np.zeros((4, 4)),)), language_model(4), "takes integers"),
        (
            Samples((np.zeros((4, 3, 8, 8)),), np.array([0, 1, 2, 9])),
            image_model(n_classes=4),
            "the label 9 and model 'toy' has 4 classes; labels go from 0 to 3",
        ),
        (Samples((np.zeros((4, 3, 8, 8)),), np.array([0, 1, 2, -1])), image_model(), "the label -1"),
        (7, vector_model(), "data cannot be a int"),
        ([], vector_model(), "gave no batch"),
    ],
)
def test_data_that_does_not_fit_is_one_sentence(spec, model, says):
    with pytest.raises(DataError, match=says) as error:
        load_data(spec, model, calibration=2, evaluation=2, seed=0)
    assert "\n" not in str(error.value)


def test_unknown_file_type_is_refused(tmp_path):
    (tmp_path / "d.parquet").write_bytes(b"x")
    with pytest.raises(DataError, match=r"unknown type '\.parquet'"):
        load_data(str(tmp_path / "d.parquet"), vector_model(), calibration=2, evaluation=2, seed=0)


def test_at_least_one_sample_each():
    with pytest.raises(DataError, match="must be at least 1"):
        load_data(_samples(5), vector_model(), calibration=0, evaluation=2, seed=0)
