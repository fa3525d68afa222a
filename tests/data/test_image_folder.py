from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from automl.core.errors import DataError
from automl.data.image_folder import image_folder
from tests.data.toy_models import image_model
from tests.data.toy_models import vector_model


def _write(path, value, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path)


def _everything(source):
    return source.read(np.arange(source.count))


def test_class_folders_in_sorted_order_are_the_labels(tmp_path):
    for number, name in enumerate(["ant", "bee", "cat", "dog"]):
        for image in range(number + 1):
            _write(tmp_path / name / f"{image}.png", 10 * number)
    source = image_folder(tmp_path, image_model())
    found = _everything(source)
    np.testing.assert_array_equal(found.labels, [0, 1, 1, 2, 2, 2, 3, 3, 3, 3])
    gray = np.rint((found.inputs[0][:, 0, 0, 0] * 0.5 + 0.5) * 255)
    np.testing.assert_array_equal(gray, 10 * found.labels)


def test_integer_folder_names_are_the_labels(tmp_path):
    for name in ("2", "10", "0"):
        _write(tmp_path / name / "x.png", 5)
    source = image_folder(tmp_path, image_model(n_classes=11))
    assert sorted(_everything(source).labels) == [0, 2, 10]
    with pytest.raises(DataError, match=r"class folder '10' .* beyond the 4 classes.*0 to 3"):
        image_folder(tmp_path, image_model(n_classes=4))


def test_leading_zeros_that_collide_are_refused(tmp_path):
    _write(tmp_path / "1" / "x.png", 5)
    _write(tmp_path / "01" / "x.png", 5)
    with pytest.raises(DataError, match="mean the same number"):
        image_folder(tmp_path, image_model())


def test_number_of_named_folders_must_be_the_number_of_classes(tmp_path):
    for name in ("ant", "bee"):
        _write(tmp_path / name / "x.png", 5)
    with pytest.raises(DataError, match="has 2 class folders and model 'toy' has 4 classes"):
        image_folder(tmp_path, image_model())


def test_flat_folder_is_unlabelled_and_resized(tmp_path):
    _write(tmp_path / "a.png", 0, (30, 20))
    _write(tmp_path / "b.JPG", 255, (9, 16))
    (tmp_path / "notes.txt").write_text("not an image")
    found = _everything(image_folder(tmp_path, image_model()))
    assert found.labels is None
    assert found.inputs[0].shape == (2, 3, 8, 8)
    np.testing.assert_allclose(found.inputs[0][:, 0, 4, 4], [-1.0, 1.0], atol=0.02)


def test_only_what_is_asked_for_is_decoded(tmp_path):
    _write(tmp_path / "a.png", 0)
    (tmp_path / "b.png").write_bytes(b"broken")
    source = image_folder(tmp_path, image_model())
    assert len(source.read(np.array([0]))) == 1
    with pytest.raises(DataError, match=r"b\.png' cannot be read"):
        source.read(np.array([1]))


@pytest.mark.parametrize("cut", [0, 20, -30])
def test_truncated_image_is_named_in_one_sentence(tmp_path, cut):
    path = tmp_path / "a.png"
    noise = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"a\.png' cannot be read") as error:
        _everything(image_folder(tmp_path, image_model()))
    assert "\n" not in str(error.value)


def test_layouts_that_mean_nothing_are_refused(tmp_path):
    with pytest.raises(DataError, match="holds no images"):
        image_folder(tmp_path, image_model())
    _write(tmp_path / "ant" / "x.png", 1)
    (tmp_path / "bee").mkdir()
    with pytest.raises(DataError, match=r"bee' holds no images"):
        image_folder(tmp_path, image_model(n_classes=2))
    _write(tmp_path / "y.png", 1)
    with pytest.raises(DataError, match="beside folders of images"):
        image_folder(tmp_path, image_model())


def test_model_without_images_is_refused(tmp_path):
    with pytest.raises(DataError, match="takes inputs of shape 1x5"):
        image_folder(tmp_path, vector_model())
