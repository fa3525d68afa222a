"""Weights from safetensors files; pickles are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import safetensors
import safetensors.torch

from automl.core.errors import ModelError
from automl.core.errors import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import nn

__all__ = ["load_weights", "read_safetensors", "refuse_pickle"]

_OPTIONAL = "num_batches_tracked"


def refuse_pickle(path: Path) -> None:
    """Raise ModelError when ``path`` is a pickle or a zip file (torch.save), whatever it is called."""
    with path.open("rb") as file:
        head = file.read(4)
    if head[:2] == b"PK" or (head[:1] == b"\x80" and head[1:2] in {b"\x02", b"\x03", b"\x04", b"\x05"}):
        raise ModelError(
            f"'{path}' is a pickle (torch.save), which can run code when it is read; only safetensors is "
            "accepted: "
            "convert it with safetensors.torch.save_file"
        )


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a safetensors file.

    Raises:
        ModelError: the file is missing, is a pickle, or is damaged.
    """
    if not path.is_file():
        raise ModelError(f"weights file '{path}' does not exist; give the path of a .safetensors file")
    refuse_pickle(path)
    try:
        tensors: dict[str, torch.Tensor] = safetensors.torch.load_file(path)
        return tensors
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise ModelError(
            f"'{path}' cannot be read as safetensors ({error}); the file is damaged or of another format, "
            "so write it again with safetensors.torch.save_file"
        ) from error


def load_weights(module: nn.Module, path: Path, name: str) -> None:
    """Put the tensors of a safetensors file into ``module``; names and shapes must match.

    Missing batch counters of batch norms are allowed: they take no part in evaluation.

    Raises:
        ModelError: as :func:`read_safetensors`, or a name or shape does not match.
    """
    tensors = read_safetensors(path)
    own = module.state_dict(keep_vars=True)
    unexpected = sorted(set(tensors) - set(own))
    missing = sorted(k for k in set(own) - set(tensors) if not k.endswith(_OPTIONAL))
    missing = _without_tied(missing, own, tensors)
    if unexpected or missing:
        first = missing[0] if missing else unexpected[0]
        what = "is missing" if missing else "is not part of the model"
        near = did_you_mean(first, unexpected if missing else missing)
        raise ModelError(
            f"the weights in '{path}' do not match model '{name}': {len(missing)} names are missing and "
            f"{len(unexpected)} are unknown, '{first}' {what}{near or ';'} give the weights of this "
            "architecture"
        )
    for key, tensor in tensors.items():
        if tensor.shape != own[key].shape:
            raise ModelError(
                f"the weights in '{path}' do not match model '{name}': '{key}' has shape "
                f"{tuple(tensor.shape)} "
                f"and the model takes {tuple(own[key].shape)}; give the weights of this architecture"
            )
    module.load_state_dict(tensors, strict=False)


def _without_tied(
    missing: list[str], own: dict[str, torch.Tensor], tensors: dict[str, torch.Tensor]
) -> list[str]:
    """Return the missing names whose tensor is not shared with one that the file holds."""
    given = {own[key].data_ptr() for key in tensors if key in own and own[key].numel()}
    return [key for key in missing if own[key].data_ptr() not in given]
