"""A loaded model: the module and everything the rest of the engine must know about it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Literal
from typing import get_args

import numpy as np
import torch

from automl.data.preprocessing import ImagePreprocessing

if TYPE_CHECKING:
    import tokenizers
    from torch import nn

__all__ = ["TASKS", "ImagePreprocessing", "LoadedModel", "Task", "fingerprint_module"]

Task = Literal["image-classification", "encoder", "causal-lm", "generic"]

#: What a model can be asked to do; decides how its quality is measured.
TASKS: tuple[Task, ...] = get_args(Task)


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready to be traced.

    Args:
        name: short name for tables and folders.
        module: in evaluation mode, float32, on the CPU; returns one tensor or a tuple of tensors.
        task: one of :data:`TASKS`.
        example_inputs: inputs of batch 1 that the module accepts.
        image: preprocessing when the first input is an image, else None.
        tokenizer: the model's own tokenizer for text models, else None.
        n_classes: outputs of the classification head, None for other tasks.
        source: where module and weights came from; says so when the weights are random.
        fingerprint: 16 hexadecimal digits over structure and weights.
    """

    name: str
    module: nn.Module
    task: Task
    example_inputs: tuple[torch.Tensor, ...]
    image: ImagePreprocessing | None
    tokenizer: tokenizers.Tokenizer | None
    n_classes: int | None
    source: str
    fingerprint: str

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the example inputs, batch first."""
        return tuple(tuple(t.shape) for t in self.example_inputs)


def fingerprint_module(module: nn.Module) -> str:
    """Return 16 hexadecimal digits that change with any layer, setting, parameter or buffer of ``module``."""
    structure = re.sub(r" at 0x[0-9a-f]+", "", repr(module))
    digest = hashlib.sha256(structure.encode())
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(np.asarray(flat).data)
    return digest.hexdigest()[:16]
