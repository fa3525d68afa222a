"""Small stand-ins for loaded models: what data needs to know of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tokenizers
import torch

from automl.data.preprocessing import ImagePreprocessing


@dataclass(frozen=True, eq=False)
class ToyModel:
    name: str
    task: str
    example_inputs: tuple[torch.Tensor, ...]
    image: ImagePreprocessing | None = None
    tokenizer: Any = None
    n_classes: int | None = None


def image_model(size=(8, 8), channels=3, n_classes=4):
    how = ImagePreprocessing(size, 1.0, (0.5,) * channels, (0.5,) * channels)
    return ToyModel(
        "toy", "image-classification", (torch.zeros(1, channels, *size),), how, n_classes=n_classes
    )


def _tokenizer():
    words = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "b": 5, "c": 6, "d": 7}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return made


def language_model(tokens=4):
    return ToyModel("toy", "causal-lm", (torch.zeros(1, tokens, dtype=torch.int64),), tokenizer=_tokenizer())


def encoder_model(tokens=6, n_inputs=2):
    tokenizer = _tokenizer()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    inputs = tuple(torch.ones(1, tokens, dtype=torch.int64) for _ in range(n_inputs))
    return ToyModel("toy", "encoder", inputs, tokenizer=tokenizer)


def vector_model(width=5):
    return ToyModel("toy", "generic", (torch.zeros(1, width),))
