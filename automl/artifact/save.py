"""Write an artifact folder: complete and checksummed, or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from automl.artifact.card import model_card
from automl.artifact.manifest import CARD_FILE
from automl.artifact.manifest import GRAPH_FILE
from automl.artifact.manifest import MANIFEST_FILE
from automl.artifact.manifest import WEIGHTS_FILE
from automl.artifact.manifest import FileRecord
from automl.artifact.manifest import Manifest
from automl.artifact.manifest import file_digest
from automl.artifact.weights import detach_weights
from automl.core.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx

    from automl.artifact.manifest import ArtifactInfo

__all__ = ["save_artifact"]


def save_artifact(
    folder: Path | str,
    model: onnx.ModelProto | bytes,
    info: ArtifactInfo,
    *,
    packed: Mapping[str, int] | None = None,
    overwrite: bool = False,
) -> Manifest:
    """Write ``model`` as an artifact folder and return its manifest.

    The folder appears in one rename, after every byte is on disk; a crash leaves at most a hidden
    ``.NAME.PID.tmp`` beside it.

    Args:
        folder: where; its parents are made.
        model: the deployed graph with its data in memory, not changed; or the content of a torch program
            file, which is stored as it is.
        info: what the model is and how it was measured.
        packed: INT8 initializer -> bits of its codes; those are stored bit-packed and unpacked at load.
        overwrite: replace an existing artifact instead of refusing.

    Raises:
        ArtifactError: the folder exists, a code does not fit its bits, or the disk refuses.
    """
    folder = Path(folder).absolute()
    if folder.exists() and not overwrite:
        raise ArtifactError(f"{folder} exists; choose another folder or allow overwriting")
    if folder.exists() and any(folder.iterdir()) and not (folder / MANIFEST_FILE).exists():
        raise ArtifactError(f"{folder} is not an artifact and is not overwritten; choose another folder")
    content: dict[str, bytes] = {}
    if isinstance(model, bytes):
        content[WEIGHTS_FILE] = model
    else:
        graph, content[WEIGHTS_FILE] = detach_weights(model, packed or {}, WEIGHTS_FILE)
        content[GRAPH_FILE] = graph.SerializeToString()
    staging = folder.parent / f".{folder.name}.{os.getpid()}.tmp"
    direct = not any(bits != 8 for bits in (packed or {}).values())
    try:
        staging.mkdir(parents=True)
        for name, data in content.items():
            _write(staging / name, data)
        sized = Manifest(info, _records(staging, tuple(content)), direct)
        _write(staging / CARD_FILE, model_card(sized).encode())
        manifest = Manifest(info, _records(staging, (CARD_FILE, *content)), direct)
        _write(staging / MANIFEST_FILE, manifest.dumps().encode())
        _swap(staging, folder)
    except OSError as error:
        raise ArtifactError(
            f"cannot write the artifact {folder}: {error.strerror or error}; "
            "free space or choose a folder that can be written"
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return manifest


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _records(folder: Path, names: tuple[str, ...]) -> dict[str, FileRecord]:
    return {n: FileRecord(file_digest(folder / n), (folder / n).stat().st_size) for n in names}


def _swap(staging: Path, folder: Path) -> None:
    """Move ``staging`` to ``folder``; an artifact already there is put back when that fails."""
    retired = folder.parent / f".{folder.name}.{os.getpid()}.old"
    had_one = folder.exists()
    if had_one:
        folder.rename(retired)
    try:
        staging.rename(folder)
    except OSError:
        if had_one:
            retired.rename(folder)
        raise
    with contextlib.suppress(OSError):
        handle = os.open(folder.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    shutil.rmtree(retired, ignore_errors=True)
