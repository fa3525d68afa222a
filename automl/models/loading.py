"""Load a model by name, from a file or folder, from a function, or from a module."""

from __future__ import annotations

import importlib
import inspect
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from automl.core.errors import AutomlError
from automl.core.errors import ModelError
from automl.core.errors import unknown_name
from automl.models.assembly import assemble
from automl.models.assembly import example_images
from automl.models.assembly import private_copy
from automl.models.checkpoint import load_weights
from automl.models.checks import shape_text
from automl.models.zoo import ZOO
from automl.models.zoo import build_timm
from automl.models.zoo import load_zoo_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automl.models.loaded import LoadedModel

__all__ = ["load_model"]

#: What a user's function may raise; our own errors pass through.
_USER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)

Shapes = tuple[tuple[int, ...], ...] | None


def load_model(
    spec: str | nn.Module, *, input_shapes: Shapes = None, weights: Path | None = None
) -> LoadedModel:
    """Return the model that ``spec`` names.

    Args:
        spec: a zoo name; ``timm:NAME``; ``module:function`` (the working directory is importable; the
            function
            takes nothing and returns a module or a pair of module and example inputs); a Hugging Face folder;
            a ``.pt2`` file; or a module itself, which is copied.
        input_shapes: shapes of the inputs, batch 1 first; needed when the model does not state its own.
        weights: a safetensors file for ``timm:NAME``, ``module:function`` and modules.

    Raises:
        ModelError: unknown name, missing or damaged file, weights that do not match, weights or outputs
            that are
            not finite, or an input shape the model does not accept.
        MissingExtraError: a zoo model's package is not installed.
    """
    if isinstance(spec, nn.Module):
        name = type(spec).__name__
        return _from_module(name, private_copy(spec, name), "given as a module", input_shapes, weights)
    if spec.startswith("timm:"):
        return _from_timm(spec.removeprefix("timm:"), input_shapes, weights)
    if spec in ZOO:
        _refuse_weights(spec, weights)
        return load_zoo_model(spec, input_shapes)
    path = Path(spec).expanduser()
    if path.is_dir():
        from automl.models.hugging_face import load_folder

        _refuse_weights(spec, weights)
        return load_folder(path, input_shapes)
    if path.suffix == ".pt2":
        from automl.models.exported import load_exported

        _refuse_weights(spec, weights)
        module, examples = load_exported(path)
        examples = _examples(module, examples, input_shapes, path.stem)
        return assemble(path.stem, module, examples, f"exported program {path}")
    if ":" in spec and not path.exists():
        return _from_function(spec, input_shapes, weights)
    if path.is_file():
        raise ModelError(
            f"'{spec}' is a file but not a .pt2 program; weights alone are no model, so name the "
            "architecture: "
            f"timm:NAME --weights {spec}, or give module:function, a Hugging Face folder or a .pt2 file"
        )
    if "/" in spec:
        raise ModelError(f"model path '{spec}' does not exist; give a Hugging Face folder or a .pt2 file")
    raise ModelError(
        f"{unknown_name('model', spec, ZOO)}, or give timm:NAME, module:function, a Hugging Face folder or "
        "a .pt2 file"
    )


def _refuse_weights(spec: str, weights: Path | None) -> None:
    if weights is not None:
        raise ModelError(
            f"model '{spec}' brings its own weights; drop --weights, or use it with timm:NAME or "
            "module:function"
        )


def _from_timm(name: str, shapes: Shapes, weights: Path | None) -> LoadedModel:
    module, examples = build_timm(name, shapes)
    if weights is None:
        return assemble(name, module, examples, f"timm:{name}, random weights")
    load_weights(module, weights, name)
    return assemble(name, module, examples, f"timm:{name}, weights of {weights}")


def _from_module(
    name: str,
    module: nn.Module,
    source: str,
    shapes: Shapes,
    weights: Path | None,
    examples: tuple[torch.Tensor, ...] | None = None,
) -> LoadedModel:
    if weights is not None:
        load_weights(module, weights, name)
        source = f"{source}, weights of {weights}"
    return assemble(name, module, _examples(module, examples, shapes, name), source)


def _examples(
    module: nn.Module, given: tuple[torch.Tensor, ...] | None, shapes: Shapes, name: str
) -> tuple[torch.Tensor, ...]:
    """Return example inputs of batch 1: by shape when asked for, else the model's own."""
    own = given if given is not None else getattr(module, "example_inputs", None)
    if isinstance(own, torch.Tensor):
        own = (own,)
    if own is not None and not (own and all(isinstance(t, torch.Tensor) and t.dim() for t in own)):
        raise ModelError(f"model '{name}': example_inputs must be a tuple of tensors, batch first")
    if own is not None:
        own = tuple(t[:1].detach().clone() for t in own)
    if shapes is None:
        if own is not None:
            return own
        config = getattr(module, "pretrained_cfg", None)
        if isinstance(config, dict) and "input_size" in config:
            return example_images(((1, *config["input_size"]),))
        raise ModelError(
            f"model '{name}' does not say which input it takes; give the shape with --input, for example "
            "--input 1x3x224x224"
        )
    if own is not None and any(not t.is_floating_point() for t in own):
        if [tuple(t.shape) for t in own] == list(shapes):
            return own
        raise ModelError(
            f"model '{name}' brings integer example inputs of shape {shape_text([t.shape for t in own])}, "
            "which "
            f"cannot be made up for {shape_text(shapes)}; drop --input or return other example inputs"
        )
    return example_images(shapes)


@contextmanager
def _working_directory_importable() -> Iterator[None]:
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        yield
    finally:
        if added and here in sys.path:
            sys.path.remove(here)


def _from_function(spec: str, shapes: Shapes, weights: Path | None) -> LoadedModel:
    module_name, _, function_name = spec.partition(":")
    importlib.invalidate_caches()
    with _working_directory_importable():
        try:
            holder = importlib.import_module(module_name)
        except AutomlError:
            raise
        except _USER_ERRORS as error:
            raise ModelError(
                f"model '{spec}': the Python module '{module_name}' cannot be imported ({error}); give "
                "module:function of something importable from the working directory"
            ) from error
        function = getattr(holder, function_name, None)
        if not callable(function):
            known = [n for n, v in vars(holder).items() if inspect.isfunction(v) and not n.startswith("_")]
            raise ModelError(f"model '{spec}': {unknown_name('function', function_name, known)}")
        try:
            built = function()
        except AutomlError:
            raise
        except _USER_ERRORS as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:240]
            raise ModelError(
                f"model '{spec}': calling '{function_name}' without arguments failed ({reason}); it must "
                "take none and return a torch.nn.Module"
            ) from error
    examples = None
    if isinstance(built, tuple) and len(built) == 2 and isinstance(built[0], nn.Module):
        built, examples = built
        examples = (examples,) if isinstance(examples, torch.Tensor) else tuple(examples)
    if not isinstance(built, nn.Module):
        raise ModelError(
            f"model '{spec}' returned a {type(built).__name__}; the function must return a torch.nn.Module "
            "or "
            "(module, example_inputs)"
        )
    return _from_module(function_name, built, f"function {spec}", shapes, weights, examples)
