from __future__ import annotations

import numpy as np
import pytest
import timm.data
from PIL import Image

from automl.core.errors import DataError
from automl.data.preprocessing import ImagePreprocessing
from automl.data.preprocessing import normalize
from automl.data.preprocessing import preprocess


def _photo(width, height):
    rng = np.random.Generator(np.random.PCG64(0))
    small = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(("width", "height"), [(300, 200), (200, 301), (256, 256)])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_resize_and_crop_agree_with_timm(width, height, interpolation):
    how = ImagePreprocessing((96, 96), 0.875, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4), interpolation)
    reference = timm.data.create_transform(
        (3, 96, 96), mean=how.mean, std=how.std, crop_pct=0.875, interpolation=interpolation
    )
    photo = _photo(width, height)
    difference = np.abs(preprocess(photo, how) - reference(photo).numpy())
    assert difference.mean() < 0.01


def test_an_image_of_the_models_size_is_not_resized():
    how = ImagePreprocessing((8, 8), 0.5, (0.0,) * 3, (1.0,) * 3)
    photo = _photo(8, 8)
    np.testing.assert_allclose(preprocess(photo, how) * 255, np.asarray(photo).transpose(2, 0, 1), atol=1e-4)


def test_normalize_subtracts_and_divides_per_channel():
    how = ImagePreprocessing((1, 1), 1.0, (0.1, 0.2, 0.3), (0.5, 0.25, 0.1))
    found = normalize(np.array([[[255, 0, 51]]], dtype=np.uint8), how)
    np.testing.assert_allclose(found[:, 0, 0], [1.8, -0.8, -1.0], rtol=1e-5)


def test_gray_models_get_one_channel():
    how = ImagePreprocessing((8, 8), 1.0, (0.5,), (0.5,))
    assert preprocess(_photo(20, 16), how).shape == (1, 8, 8)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "CMYK"])
def test_every_color_mode_becomes_three_channels(mode):
    assert preprocess(_photo(20, 16).convert(mode), ImagePreprocessing((8, 8))).shape == (3, 8, 8)


def test_tall_thin_image_still_fills_the_crop():
    assert preprocess(_photo(3, 200), ImagePreprocessing((8, 8))).shape == (3, 8, 8)


def test_unknown_interpolation_is_named():
    with pytest.raises(DataError, match="unknown interpolation 'cubic'"):
        preprocess(_photo(20, 16), ImagePreprocessing((8, 8), interpolation="cubic"))
