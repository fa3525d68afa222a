"""Open an artifact folder: verify every checksum before a byte is believed."""

from __future__ import annotations

from pathlib import Path

from automl.artifact.artifact import Artifact
from automl.artifact.manifest import MANIFEST_FILE
from automl.artifact.manifest import Manifest
from automl.artifact.manifest import file_digest
from automl.core.errors import ArtifactError

__all__ = ["load_artifact"]


def load_artifact(folder: Path | str) -> Artifact:
    """Return the artifact in ``folder``.

    Raises:
        ArtifactError: the folder or a file is missing, a file was changed (named), or the schema is unknown.
    """
    folder = Path(folder)
    path = folder / MANIFEST_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        what = "has no manifest.json" if folder.is_dir() else "does not exist"
        raise ArtifactError(
            f"{folder} {what}; give the folder of an artifact, for example runs/x/models/0f3a"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"cannot read {path}: {error}; export the artifact again") from error
    manifest = Manifest.loads(text, path)
    for name, record in manifest.files.items():
        file = folder / name
        if not file.is_file():
            raise ArtifactError(f"{file} is missing; restore it or export the artifact again")
        size = file.stat().st_size
        if size != record.size_bytes or file_digest(file) != record.sha256:
            raise ArtifactError(
                f"{file} was changed after it was written ({size} of {record.size_bytes} bytes); "
                "restore it or export the artifact again"
            )
    return Artifact(folder, manifest)
