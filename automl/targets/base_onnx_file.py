"""The base graph on disk: a folder with the skeleton, the constants once, and the name maps."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save_file

from automl.core.errors import ArtifactError
from automl.targets.onnx_export import BaseOnnx
from automl.targets.onnx_export import OnnxUse

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["load_base", "save_base"]

#: Version of the folder's form.
SCHEMA = 1

_SKELETON, _CONSTANTS, _MAPS = "skeleton.onnx", "constants.safetensors", "base.json"


def save_base(folder: Path, base: BaseOnnx) -> None:
    """Write ``base`` into an existing folder."""
    (folder / _SKELETON).write_bytes(base.skeleton.SerializeToString())
    save_file({n: np.ascontiguousarray(a) for n, a in base.constants.items()}, folder / _CONSTANTS)
    maps = {
        "schema": SCHEMA,
        "constants": list(base.constants),
        "uses": {site: [asdict(u) for u in uses] for site, uses in base.uses.items()},
        "values": dict(base.values),
        "members": {node: list(names) for node, names in base.members.items()},
        "unresolved": list(base.unresolved),
        "dynamic_batch": base.dynamic_batch,
    }
    (folder / _MAPS).write_text(json.dumps(maps), encoding="utf-8")


def load_base(folder: Path) -> BaseOnnx:
    """Return what :func:`save_base` wrote.

    Raises:
        ArtifactError: a file is missing, damaged, or of another version.
    """
    try:
        maps = json.loads((folder / _MAPS).read_text(encoding="utf-8"))
        if maps["schema"] != SCHEMA:
            raise ArtifactError(f"{folder} has schema {maps['schema']}; this version reads {SCHEMA}")
        skeleton = onnx.ModelProto.FromString((folder / _SKELETON).read_bytes())
        arrays = load_file(folder / _CONSTANTS)
        return BaseOnnx(
            skeleton,
            {name: arrays[name] for name in maps["constants"]},
            {site: tuple(OnnxUse(**u) for u in uses) for site, uses in maps["uses"].items()},
            maps["values"],
            {node: tuple(names) for node, names in maps["members"].items()},
            tuple(maps["unresolved"]),
            maps["dynamic_batch"],
        )
    except (OSError, KeyError, TypeError, ValueError, SafetensorError, DecodeError) as error:
        raise ArtifactError(
            f"the exported graph in {folder} cannot be read ({error}); export it again"
        ) from error
