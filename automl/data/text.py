"""Text as model inputs: windows of tokens for language models, padded lines for encoders."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.core.errors import DataError
from automl.core.samples import Samples
from automl.data.source import Source
from automl.data.source import source_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from automl.data.source import ModelInputs

__all__ = ["text_file", "text_source"]

_PADDING_TOKENS = ("[PAD]", "<pad>", "<|padding|>", "<|endoftext|>", "</s>")


def text_file(path: Path, model: ModelInputs) -> Source:
    """Return the UTF-8 text of ``path`` as samples, see :func:`text_source`.

    Raises:
        DataError: the file is not UTF-8 text, or as :func:`text_source`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"'{path}' cannot be read as UTF-8 text ({error}); give a text file") from error
    return text_source(text.splitlines(), model, str(path))


def text_source(lines: Sequence[str], model: ModelInputs, name: str) -> Source:
    """Return lines of text as samples for a text model.

    A causal language model gets consecutive windows of all lines joined, as long as its example input. An
    encoder gets one padded or truncated row for each line that is not blank.

    Raises:
        DataError: the model reads no text, or the text is too short for one sample.
    """
    tokenizer = model.tokenizer
    if tokenizer is None or model.example_inputs[0].is_floating_point():
        raise DataError(
            f"'{name}' is text, but model '{model.name}' has no tokenizer; give images, or an npz file with "
            "arrays "
            "input_0, input_1, ..."
        )
    tokens = int(model.example_inputs[0].shape[1])
    if model.task == "causal-lm":
        return source_of(_windows("\n".join(lines), tokenizer, tokens, name), f"text of {name}")
    kept = [line.strip() for line in lines if line.strip()]
    if not kept:
        raise DataError(f"'{name}' holds no text; give at least one line")
    inputs = _rows(kept, tokenizer, tokens, len(model.example_inputs))
    return source_of(Samples(inputs), f"lines of {name}")


def _windows(text: str, tokenizer: Any, tokens: int, name: str) -> Samples:
    ids = np.asarray(tokenizer.encode(text, add_special_tokens=False).ids, dtype=np.int64)
    count = len(ids) // tokens
    if count == 0:
        raise DataError(
            f"'{name}' holds {len(ids)} tokens, which is less than one window of {tokens}; give more text, "
            "or "
            f"shorter windows with --input 1x{max(2, len(ids))}"
        )
    return Samples((ids[: count * tokens].reshape(count, tokens),))


def _rows(
    lines: Sequence[str], tokenizer: Any, tokens: int, n_inputs: int
) -> tuple[NDArray[np.generic], ...]:
    """Return token numbers, mask, and token types (zeros), as many as the model takes."""
    padding = next(
        (i for i in map(tokenizer.token_to_id, _PADDING_TOKENS) if i is not None),
        0,
    )
    ids = np.full((len(lines), tokens), padding, dtype=np.int64)
    mask = np.zeros((len(lines), tokens), dtype=np.int64)
    for row, encoding in enumerate(tokenizer.encode_batch(list(lines))):
        found = encoding.ids
        if len(found) > tokens:
            # The last token of a special-token template (such as [SEP]) is kept, as truncation does.
            last = found[-1:] if encoding.special_tokens_mask[-1] else found[tokens - 1 : tokens]
            found = [*found[: tokens - 1], *last]
        ids[row, : len(found)] = found
        mask[row, : len(found)] = 1
    return (ids, mask, np.zeros_like(ids))[:n_inputs]
