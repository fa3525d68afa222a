from __future__ import annotations

import numpy as np
import pytest

from automl.core.errors import DataError
from automl.data.arrays import npz_file
from tests.data.toy_models import image_model
from tests.data.toy_models import vector_model


def _save(tmp_path, **arrays):
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)
    return path


def _everything(source):
    return source.read(np.arange(source.count))


def test_byte_images_are_normalized(tmp_path):
    images = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    found = _everything(npz_file(_save(tmp_path, images=images, labels=np.arange(5) % 4), image_model()))
    np.testing.assert_allclose(found.inputs[0], ((images / 255 - 0.5) / 0.5).transpose(0, 3, 1, 2), atol=1e-5)
    np.testing.assert_array_equal(found.labels, [0, 1, 2, 3, 0])


@pytest.mark.parametrize("shape", [(3, 20, 16, 3), (3, 20, 16), (3, 20, 16, 1)])
def test_byte_images_of_another_size_are_resized(tmp_path, shape):
    found = _everything(npz_file(_save(tmp_path, images=np.full(shape, 255, np.uint8)), image_model()))
    assert found.inputs[0].shape == (3, 3, 8, 8)
    np.testing.assert_allclose(found.inputs[0], 1.0, atol=1e-5)


def test_gray_byte_images_fit_a_gray_model(tmp_path):
    images = np.full((2, 8, 8), 255, np.uint8)
    found = _everything(npz_file(_save(tmp_path, images=images), image_model(channels=1)))
    assert found.inputs[0].shape == (2, 1, 8, 8)


def test_float_images_are_taken_as_they_are(tmp_path):
    images = np.random.Generator(np.random.PCG64(0)).normal(size=(4, 3, 8, 8)).astype(np.float32)
    found = _everything(npz_file(_save(tmp_path, images=images), image_model()))
    np.testing.assert_array_equal(found.inputs[0], images)
    assert found.labels is None


def test_numbered_inputs_keep_their_order(tmp_path):
    arrays = {f"input_{i}": np.full((2, 5), float(i)) for i in (0, 1, 2, 10)}
    found = _everything(npz_file(_save(tmp_path, **arrays), vector_model()))
    assert [float(a[0, 0]) for a in found.inputs] == [0.0, 1.0, 2.0, 10.0]


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"x": np.zeros((2, 5))}, "holds x; it must hold 'images'"),
        ({"images": np.zeros((2, 8, 8, 4), np.uint8)}, "has shape"),
        ({"images": np.zeros((2, 8, 8, 3), np.int32)}, "must be uint8 NHWC"),
        ({"images": np.zeros((0, 8, 8, 3), np.uint8)}, "holds no images"),
        ({"images": np.zeros((2, 8, 8, 3), np.uint8), "labels": np.zeros(3, int)}, "2 images and 3 labels"),
        ({"images": np.zeros((2, 8, 8, 3), np.uint8), "labels": np.zeros(2)}, "must be integers"),
        ({"images": np.zeros((2, 3, 8, 8)), "labels": np.zeros(3, int)}, "common length"),
        ({"images": np.full((2, 3, 8, 8), np.nan)}, "NaN"),
        ({"input_0": np.zeros((2, 5)), "input_1": np.zeros((3, 5))}, "common length"),
    ],
)
def test_arrays_that_do_not_serve_are_explained(tmp_path, arrays, says):
    with pytest.raises(DataError, match=says) as error:
        npz_file(_save(tmp_path, **arrays), image_model())
    assert "data.npz" in str(error.value)


@pytest.mark.parametrize("cut", [0, 50, -60])
def test_truncated_file_is_named(tmp_path, cut):
    path = _save(tmp_path, images=np.zeros((4, 3, 8, 8), np.float32))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"data\.npz' cannot be read as npz") as error:
        npz_file(path, image_model())
    assert "\n" not in str(error.value)


def test_damaged_content_is_noticed(tmp_path):
    path = _save(tmp_path, images=np.zeros((4, 3, 8, 8), np.float32))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as npz"):
        npz_file(path, image_model())


def test_pickled_arrays_are_refused(tmp_path):
    path = _save(tmp_path, images=np.array([{"a": 1}, None], dtype=object))
    with pytest.raises(DataError, match="cannot be read as npz"):
        npz_file(path, image_model())


def test_single_array_is_refused(tmp_path):
    path = tmp_path / "data.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match="single array"):
        npz_file(path, image_model())
