"""From a module to a LoadedModel: precision, checks, example inputs, task, preprocessing, fingerprint."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import TYPE_CHECKING
from typing import Any
from typing import cast

import torch

from automl.core.errors import ModelError
from automl.core.errors import unknown_name
from automl.data.preprocessing import ImagePreprocessing
from automl.models.checks import check_outputs
from automl.models.checks import check_weights
from automl.models.checks import shape_text
from automl.models.loaded import TASKS
from automl.models.loaded import LoadedModel
from automl.models.loaded import Task
from automl.models.loaded import fingerprint_module

if TYPE_CHECKING:
    import tokenizers
    from torch import nn

__all__ = ["assemble", "example_images", "example_tokens", "preprocessing_of", "token_count"]


def assemble(
    name: str,
    module: nn.Module,
    examples: tuple[torch.Tensor, ...],
    source: str,
    *,
    task: Task | None = None,
    image: ImagePreprocessing | None = None,
    tokenizer: tokenizers.Tokenizer | None = None,
) -> LoadedModel:
    """Return the checked model.

    The module is brought to evaluation mode, float32 and the CPU in place: callers hand over a copy when it
    is not theirs. Without ``task`` an image input with a flat output of two or more values is a classifier,
    everything else ``generic``; a module can say it itself in an attribute ``task``.

    Raises:
        ModelError: weights or outputs are not finite, the example inputs do not fit, or the task is unknown.
    """
    module = module.cpu().float()
    if not isinstance(module, torch.fx.GraphModule):
        module.eval()
    check_weights(module, name)
    outputs = check_outputs(module, examples, name)
    stated = task or getattr(module, "task", None)
    if stated is not None and stated not in TASKS:
        raise ModelError(unknown_name("task", str(stated), TASKS))
    chosen = cast("Task", stated or _guess_task(examples, outputs))
    return LoadedModel(
        name=name,
        module=module,
        task=chosen,
        example_inputs=examples,
        image=image or preprocessing_of(module, examples),
        tokenizer=tokenizer,
        n_classes=int(outputs[0].shape[-1]) if chosen == "image-classification" else None,
        source=source,
        fingerprint=fingerprint_module(module),
    )


def _guess_task(examples: tuple[torch.Tensor, ...], outputs: tuple[torch.Tensor, ...]) -> Task:
    image = len(examples) == 1 and examples[0].dim() == 4 and examples[0].is_floating_point()
    flat = len(outputs) == 1 and outputs[0].dim() == 2 and outputs[0].shape[1] >= 2
    return "image-classification" if image and flat else "generic"


def preprocessing_of(module: nn.Module, examples: tuple[torch.Tensor, ...]) -> ImagePreprocessing | None:
    """Return how images become inputs of ``module``; None unless its only input is a 1- or 3-channel image.

    timm's ``pretrained_cfg`` on the module decides where it exists, else ImageNet's mean and deviation (0.5
    for one channel).
    """
    first = examples[0]
    if (
        len(examples) != 1
        or first.dim() != 4
        or not first.is_floating_point()
        or first.shape[1] not in (1, 3)
    ):
        return None
    size = (int(first.shape[2]), int(first.shape[3]))
    found = getattr(module, "pretrained_cfg", None)
    config: dict[str, Any] = found if isinstance(found, dict) else {}
    default = ImagePreprocessing(size)
    if first.shape[1] == 1:
        default = replace(default, mean=(0.5,), std=(0.5,))
    if len(config.get("mean", ())) != first.shape[1]:
        return default
    return ImagePreprocessing(
        size,
        float(config.get("crop_pct", default.crop_pct)),
        tuple(map(float, config["mean"])),
        tuple(map(float, config["std"])),
        str(config.get("interpolation", default.interpolation)),
    )


def example_images(shapes: tuple[tuple[int, ...], ...]) -> tuple[torch.Tensor, ...]:
    """Return reproducible standard normal inputs of the given shapes."""
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)


def example_tokens(n_inputs: int, tokens: int, vocabulary: int) -> tuple[torch.Tensor, ...]:
    """Return token numbers (1, tokens) and, for a second input, a mask of ones."""
    ids = (torch.arange(tokens, dtype=torch.int64) * 37 + 11) % min(vocabulary, 1000)
    return (ids[None], torch.ones(1, tokens, dtype=torch.int64))[:n_inputs]


def token_count(shapes: tuple[tuple[int, ...], ...] | None, default: int, limit: int, name: str) -> int:
    """Return the sequence length that the requested input shapes ask for.

    Raises:
        ModelError: the shapes differ, are not 1 x tokens, or are longer than the model's ``limit``.
    """
    if shapes is None:
        return min(default, limit)
    if len(set(shapes)) != 1 or len(shapes[0]) != 2:
        raise ModelError(
            f"model '{name}' takes tokens, so its input shape is 1xTOKENS; got {shape_text(shapes)}, "
            f"write for example --input 1x{min(default, limit)}"
        )
    tokens = math.prod(shapes[0])
    if tokens > limit:
        raise ModelError(
            f"model '{name}' takes at most {limit} tokens; got {tokens}, write --input 1x{limit} or less"
        )
    return tokens


def private_copy(module: nn.Module, name: str) -> nn.Module:
    """Return a deep copy, so that the caller's module keeps its mode, type and device.

    Raises:
        ModelError: the module cannot be copied.
    """
    try:
        return copy.deepcopy(module)
    except (RuntimeError, TypeError) as error:
        raise ModelError(
            f"model '{name}' cannot be copied ({error}); give a module whose parameters are leaf tensors"
        ) from error
