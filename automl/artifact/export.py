"""Other formats of a deployed graph: one ONNX file, or OpenVINO's IR."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from automl.core.errors import ArtifactError
from automl.core.errors import MissingExtraError
from automl.core.telemetry import forbid_openvino_telemetry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import onnx

__all__ = ["EXPORTS", "write_copy", "write_onnx", "write_openvino"]

#: Formats an artifact can be written in.
EXPORTS = ("onnx", "openvino")


def _refused(path: Path, error: Exception) -> ArtifactError:
    return ArtifactError(f"cannot write {path}: {error}; choose a folder that can be written")


def write_onnx(model: onnx.ModelProto, path: Path) -> Path:
    """Write one self-contained file; it appears in one rename.

    Raises:
        ArtifactError: the file cannot be written.
    """
    return _written(path, lambda part: part.write_bytes(model.SerializeToString()))


def write_copy(source: Path, path: Path) -> Path:
    """Copy a file; the copy appears in one rename.

    Raises:
        ArtifactError: the file cannot be written.
    """
    return _written(path, lambda part: shutil.copyfile(source, part))


def _written(path: Path, write: Callable[[Path], object]) -> Path:
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(part)
        part.replace(path)
    except OSError as error:
        if part.exists():
            part.unlink()  # Half a file would keep a full disk full.
        raise _refused(path, error) from error
    return path


def write_openvino(model: onnx.ModelProto, path: Path) -> Path:
    """Write OpenVINO's IR, ``.xml`` and ``.bin``, with weights as they are (no conversion to f16).

    Raises:
        ArtifactError: OpenVINO refuses the graph or the file cannot be written.
        MissingExtraError: OpenVINO is not installed.
    """
    try:
        forbid_openvino_telemetry()
        import openvino
    except ImportError as error:
        raise MissingExtraError("OpenVINO is not installed; run: pip install openvino") from error
    path = path.with_suffix(".xml")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        graph = openvino.Core().read_model(model.SerializeToString())
        openvino.save_model(graph, str(path), compress_to_fp16=False)
    except (OSError, RuntimeError) as error:
        raise _refused(path, error) from error
    return path
