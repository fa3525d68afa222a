"""The torch twin of a found model: the traced model with the artifact's numbers, and its export."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from automl.core.errors import ArtifactError
from automl.models.checks import parse_input_shape
from automl.models.loading import load_model
from automl.searchspaces.trace import trace_model
from automl.stages.folder import stored_config
from automl.transforms.materialize import materialize
from automl.transforms.plan_file import load_plan

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from automl.config import SearchConfig
    from automl.searchspaces.graph import TracedModel

__all__ = ["export_torch", "plan_file", "simulated_module"]


def plan_file(folder: Path, member_id: str) -> Path:
    """Return where the quantization plan of a confirmed model lies."""
    return folder / "plans" / f"{member_id}.npz"


def _traced(config: SearchConfig) -> TracedModel:
    shapes = tuple(parse_input_shape(text) for text in config.input) or None
    model = load_model(config.model, input_shapes=shapes, weights=config.weights)
    return trace_model(model.module, model.example_inputs)


def simulated_module(folder: Path, member_id: str) -> nn.Module:
    """Return a module that computes what the artifact computes, quantizers included.

    Raises:
        ArtifactError: the run holds no plan of that model.
    """
    return materialize(_traced(stored_config(folder)), load_plan(plan_file(folder, member_id)))


def export_torch(folder: Path, member_id: str, path: Path) -> Path:
    """Write the module as a ``torch.export`` program and return the file.

    Raises:
        ArtifactError: the run holds no plan of that model, or the file cannot be written.
    """
    traced = _traced(stored_config(folder))
    module = materialize(traced, load_plan(plan_file(folder, member_id)))
    program = torch.export.export(module, traced.example_inputs)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.export.save(program, path)
    except (OSError, RuntimeError) as error:
        raise ArtifactError(f"cannot write {path}: {error}; choose a folder that can be written") from error
    return path
