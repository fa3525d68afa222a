"""Models from ``.pt2`` files of ``torch.export.save``; files that carry pickled objects are refused."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import torch

from automl.core.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

__all__ = ["load_exported", "load_program"]


def load_exported(path: Path) -> tuple[nn.Module, tuple[torch.Tensor, ...] | None]:
    """Return the module of an exported program and the tensors it was exported with, when the file has them.

    Raises:
        ModelError: the file is missing, damaged, not a .pt2 file, or carries pickled objects.
    """
    program = load_program(path)
    examples = None
    if program.example_inputs is not None:
        args, kwargs = program.example_inputs
        if not kwargs and all(isinstance(a, torch.Tensor) for a in args):
            examples = tuple(args)
    return program.module(), examples


def load_program(path: Path) -> torch.export.ExportedProgram:
    """Return the exported program of a ``.pt2`` file.

    ``torch.export.load`` unpickles whatever ``weights_only`` loading rejects, so every such member of the
    file is tried with ``weights_only=True`` first and the file is refused when one fails.

    Raises:
        ModelError: the file is missing, damaged, not a .pt2 file, or carries pickled objects.
    """
    if not path.is_file():
        raise ModelError(f"model file '{path}' does not exist; give a file written by torch.export.save")
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_objects(archive, path)
        return torch.export.load(path)
    except (
        zipfile.BadZipFile,
        OSError,
        EOFError,
        RuntimeError,
        ValueError,
        KeyError,
        AssertionError,
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"'{path}' cannot be read as an exported program ({reason}); write it with torch.export.save"
        ) from error


def _refuse_objects(archive: zipfile.ZipFile, path: Path) -> None:
    """Raise ModelError when a member of the archive needs unpickling of anything but tensors."""
    names = archive.namelist()
    if len(set(names)) != len(names):
        raise ModelError(f"'{path}' holds two members of one name; write it again with torch.export.save")
    suspects = {name for name in names if name.endswith((".pt", ".pth", ".pkl"))}
    by_tail = {tuple(PurePosixPath(name).parts[-2:]): name for name in names}
    for name in names:
        if not name.endswith(".json") or "config" not in PurePosixPath(name).name:
            continue
        entries = json.loads(archive.read(name)).get("config", {})
        folder = PurePosixPath(name).parent.name
        for entry in entries.values() if isinstance(entries, dict) else ():
            if isinstance(entry, dict) and entry.get("use_pickle"):
                member = by_tail.get((folder, str(entry.get("path_name"))))
                suspects |= {member} if member else set()
    for name in sorted(suspects):
        content = archive.read(name)
        if not content:
            continue
        try:
            torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
            raise ModelError(
                f"'{path}' carries a pickled object in '{name}', which can run code when it is read; "
                "export a program that holds tensors only"
            ) from error
