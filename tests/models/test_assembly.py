from __future__ import annotations

import pytest
import torch
from torch import nn

from automl.core.errors import ModelError
from automl.models.assembly import assemble
from automl.models.assembly import example_images
from automl.models.assembly import example_tokens
from automl.models.assembly import preprocessing_of
from automl.models.assembly import private_copy
from automl.models.assembly import token_count


def _classifier(channels=3, classes=5):
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes)
    )


def test_image_classifier_is_recognized():
    model = assemble("m", _classifier(), example_images(((1, 3, 8, 8),)), "here")
    assert (model.task, model.n_classes) == ("image-classification", 5)
    assert model.image is not None
    assert model.image.size == (8, 8)
    assert model.input_shapes == ((1, 3, 8, 8),)


def test_dense_output_is_generic():
    model = assemble("m", nn.Conv2d(3, 3, 3), example_images(((1, 3, 8, 8),)), "here")
    assert (model.task, model.n_classes) == ("generic", None)


def test_vector_input_is_generic_without_preprocessing():
    model = assemble("m", nn.Linear(6, 4), example_images(((1, 6),)), "here")
    assert (model.task, model.image) == ("generic", None)


def test_module_can_state_its_task():
    module = nn.Linear(6, 4)
    module.task = "encoder"
    assert assemble("m", module, example_images(((1, 6),)), "here").task == "encoder"
    module.task = "encodr"
    with pytest.raises(ModelError, match="did you mean 'encoder'"):
        assemble("m", module, example_images(((1, 6),)), "here")


def test_half_precision_training_module_becomes_float32_in_evaluation_mode():
    module = nn.Sequential(nn.Linear(6, 4), nn.Dropout(0.5)).half().train()
    model = assemble("m", module, example_images(((1, 6),)), "here")
    assert not model.module.training
    assert all(p.dtype == torch.float32 for p in model.module.parameters())


def test_timm_settings_decide_the_preprocessing():
    module = _classifier()
    module.pretrained_cfg = {
        "mean": (0.1, 0.2, 0.3),
        "std": (0.4, 0.5, 0.6),
        "crop_pct": 0.9,
        "interpolation": "bilinear",
    }
    how = preprocessing_of(module, example_images(((1, 3, 8, 10),)))
    assert (how.size, how.mean, how.std) == ((8, 10), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (how.crop_pct, how.interpolation) == (0.9, "bilinear")


def test_gray_input_gets_one_channel_of_preprocessing():
    how = preprocessing_of(_classifier(channels=1), example_images(((1, 1, 8, 8),)))
    assert (how.mean, how.mode) == ((0.5,), "L")


def test_examples_are_reproducible():
    first, second = example_images(((1, 3, 4, 4),)), example_images(((1, 3, 4, 4),))
    assert torch.equal(first[0], second[0])
    ids, mask = example_tokens(2, 7, 100)
    assert ids.shape == mask.shape == (1, 7)
    assert int(ids.max()) < 100
    assert bool(mask.all())
    assert len(example_tokens(1, 7, 100)) == 1


def test_token_count_follows_the_request_within_the_limit():
    assert token_count(None, 64, 512, "m") == 64
    assert token_count(None, 64, 32, "m") == 32
    assert token_count(((1, 16), (1, 16)), 64, 512, "m") == 16
    with pytest.raises(ModelError, match="at most 512 tokens; got 600"):
        token_count(((1, 600),), 64, 512, "m")
    with pytest.raises(ModelError, match=r"1xTOKENS; got 1x3x8x8"):
        token_count(((1, 3, 8, 8),), 64, 512, "m")


def test_copy_does_not_share_weights():
    module = nn.Linear(2, 2)
    copied = private_copy(module, "m")
    with torch.no_grad():
        copied.weight += 1
    assert not torch.equal(copied.weight, module.weight)


def test_module_that_cannot_be_copied_is_refused():
    module = nn.Linear(2, 2)
    module.cache = module.weight * 2
    with pytest.raises(ModelError, match="cannot be copied"):
        private_copy(module, "m")
