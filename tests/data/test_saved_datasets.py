from __future__ import annotations

import datasets
import numpy as np
import pytest
from PIL import Image

import automl.data.saved_datasets as saved_datasets
from automl.core.errors import DataError
from automl.core.errors import MissingExtraError
from automl.data.saved_datasets import is_saved_dataset
from automl.data.saved_datasets import saved_dataset
from tests.data.toy_models import encoder_model
from tests.data.toy_models import image_model


@pytest.fixture(autouse=True)
def _quiet():
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def _images(count=4):
    return datasets.Dataset.from_dict(
        {
            "picture": [Image.new("RGB", (8, 8), (60 * i, 0, 0)) for i in range(count)],
            "kind": [i % 2 for i in range(count)],
        },
        features=datasets.Features(
            {"picture": datasets.Image(), "kind": datasets.ClassLabel(names=["a", "b"])}
        ),
    )


def test_images_and_labels_are_found_by_type(tmp_path):
    _images().save_to_disk(str(tmp_path / "d"))
    assert is_saved_dataset(tmp_path / "d")
    found = saved_dataset(tmp_path / "d", image_model()).read(np.array([3, 0]))
    np.testing.assert_array_equal(found.labels, [1, 0])
    red = np.rint((found.inputs[0][:, 0, 0, 0] * 0.5 + 0.5) * 255)
    np.testing.assert_array_equal(red, [180, 0])


def test_validation_split_is_preferred_and_said(tmp_path):
    splits = datasets.DatasetDict({"train": _images(4), "validation": _images(2)})
    splits.save_to_disk(str(tmp_path / "d"))
    source = saved_dataset(tmp_path / "d", image_model())
    assert source.count == 2
    assert "'validation' is used" in source.notes[0]


def test_text_column_is_found_by_name(tmp_path):
    table = datasets.Dataset.from_dict({"id": ["x", "y"], "sentence": ["a b", "c"], "label": [1, 0]})
    table.save_to_disk(str(tmp_path / "d"))
    found = saved_dataset(tmp_path / "d", encoder_model(6)).read(np.array([1]))
    np.testing.assert_array_equal(found.inputs[0], [[2, 6, 3, 0, 0, 0]])


def test_columns_without_images_or_text_are_refused(tmp_path):
    datasets.Dataset.from_dict({"x": [1, 2]}).save_to_disk(str(tmp_path / "d"))
    with pytest.raises(DataError, match="has the columns x"):
        saved_dataset(tmp_path / "d", image_model())


def test_damaged_folder_is_refused(tmp_path):
    (tmp_path / "state.json").write_text("{}")
    with pytest.raises(DataError, match="cannot be loaded as a data set"):
        saved_dataset(tmp_path, image_model())


def test_missing_package_names_the_command(tmp_path, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(saved_datasets.importlib, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r'pip install "automl\[datasets\]"'):
        saved_dataset(tmp_path, image_model())
