"""The manifest: what an artifact is, how it was measured, and the checksum of each of its files."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any

from automl.core.candidate import Candidate
from automl.core.errors import ArtifactError
from automl.core.errors import AutomlError
from automl.core.measurement import Measurement
from automl.core.served import ServedSite

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "CARD_FILE",
    "GRAPH_FILE",
    "MANIFEST_FILE",
    "PROGRAM_TARGETS",
    "SCHEMA",
    "WEIGHTS_FILE",
    "ArtifactInfo",
    "FileRecord",
    "Manifest",
    "file_digest",
    "package_versions",
]

#: Version of the folder format; raised when an older reader could misread a newer folder.
SCHEMA = 1
MANIFEST_FILE = "manifest.json"
GRAPH_FILE = "model.onnx"
WEIGHTS_FILE = "weights.safetensors"
CARD_FILE = "README.md"

#: Targets whose model is a torch program, which needs no graph beside it.
PROGRAM_TARGETS = ("torch", "triton")

_VERSIONED = (
    "automl",
    "numpy",
    "onnx",
    "onnxruntime",
    "openvino",
    "safetensors",
    "timm",
    "torch",
    "transformers",
)


@dataclass(frozen=True)
class ArtifactInfo:
    """What the run knows of a deployed candidate; written into the manifest and the model card.

    Args:
        name: the model's name as the user gave it; any text.
        candidate: the assignment of options.
        precisions: precision option by site, tied sites spelled out.
        float_type: ``f32`` or ``bf16``, the type in which everything not quantized is computed.
        target: target name, ``openvino`` or ``onnxruntime``, possibly with options after a colon.
        runtime: runtime name and version.
        threads: threads the runtime was allowed when it was timed.
        measurement: confirmed measurement of this very model.
        baseline: measurement of trial 0 in the same run, or None.
        settings: further settings of the runtime it was measured with (OpenVINO
            properties, ONNX Runtime session entries); empty keeps the runtime's own. They change results:
            OpenVINO quantizes activations of weight-only layers unless DYNAMIC_QUANTIZATION_GROUP_SIZE is 0.
        budgets: budget text -> whether it holds.
        config: the run's configuration, plain JSON.
        versions: package -> version; see :func:`package_versions`.
        machine: fingerprint of the machine, plain JSON.
        commit: commit of the code that built it, empty when unknown.
        created: ISO 8601 time, from the run's clock.
        served: which kernel serves each site, empty where the runtime does not tell.
        notes: sentences for the card (what was struck out, which implementation ran, ...).
    """

    name: str
    candidate: Candidate
    precisions: Mapping[str, str]
    float_type: str
    target: str
    runtime: str
    threads: int
    measurement: Measurement
    baseline: Measurement | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    budgets: Mapping[str, bool] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    commit: str = ""
    created: str = ""
    served: tuple[ServedSite, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; inverse of :meth:`from_json`."""
        return {
            "name": self.name,
            "candidate": self.candidate.as_dict,
            "digest": self.candidate.digest,
            "precisions": dict(self.precisions),
            "float_type": self.float_type,
            "target": {
                "name": self.target,
                "runtime": self.runtime,
                "threads": self.threads,
                "settings": dict(self.settings),
            },
            "measurement": self.measurement.to_json(),
            "baseline": None if self.baseline is None else self.baseline.to_json(),
            "budgets": dict(self.budgets),
            "config": dict(self.config),
            "versions": dict(self.versions),
            "machine": dict(self.machine),
            "commit": self.commit,
            "created": self.created,
            "served": [s.to_json() for s in self.served],
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ArtifactInfo:
        """Return the information written by :meth:`to_json`."""
        target, baseline = data["target"], data["baseline"]
        return cls(
            name=data["name"],
            candidate=Candidate.of(data["candidate"]),
            precisions=data["precisions"],
            float_type=data["float_type"],
            target=target["name"],
            runtime=target["runtime"],
            threads=target["threads"],
            settings=target["settings"],
            measurement=Measurement.from_json(data["measurement"]),
            baseline=None if baseline is None else Measurement.from_json(baseline),
            budgets=data["budgets"],
            config=data["config"],
            versions=data["versions"],
            machine=data["machine"],
            commit=data["commit"],
            created=data["created"],
            served=tuple(map(ServedSite.from_json, data.get("served", ()))),
            notes=tuple(data["notes"]),
        )


@dataclass(frozen=True)
class FileRecord:
    """One file of the folder: SHA-256 of its content and its length in bytes."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Manifest:
    """The content of ``manifest.json``.

    Args:
        info: what the model is.
        files: record of every other file in the folder, by plain file name.
        direct: whether the runtime loads the model as it lies there (nothing is bit-packed).
    """

    info: ArtifactInfo
    files: Mapping[str, FileRecord]
    direct: bool

    @property
    def size_bytes(self) -> int:
        """Bytes the model takes on disk: graph and weights, without card and manifest."""
        return sum(self.files[name].size_bytes for name in self.model_files)

    @property
    def model_files(self) -> tuple[str, ...]:
        """Names of the files that hold the model: graph and weights, or a torch program alone."""
        return tuple(name for name in (GRAPH_FILE, WEIGHTS_FILE) if name in self.files)

    def dumps(self) -> str:
        """Return the manifest's text, which holds a checksum of itself."""
        body = {
            "schema": SCHEMA,
            **self.info.to_json(),
            "direct": self.direct,
            "size_bytes": self.size_bytes,
            "files": {k: {"sha256": v.sha256, "bytes": v.size_bytes} for k, v in sorted(self.files.items())},
        }
        return json.dumps({**body, "self_sha256": _self_digest(body)}, indent=1, allow_nan=False) + "\n"

    @classmethod
    def loads(cls, text: str, where: Path) -> Manifest:
        """Return the manifest in ``text``.

        Args:
            text: content of the file.
            where: its path, for messages.

        Raises:
            ArtifactError: not JSON, another schema, a missing field, or changed after it was written.
        """
        try:
            body = json.loads(text)
        except ValueError as error:
            raise ArtifactError(f"{where} is not JSON ({error}); export the artifact again") from error
        if not isinstance(body, dict) or body.get("schema") != SCHEMA:
            found = body.get("schema") if isinstance(body, dict) else None
            raise ArtifactError(
                f"{where} has schema {found!r}; this version reads {SCHEMA}; "
                "use the automl version that wrote it or export the artifact again"
            )
        written = body.pop("self_sha256", None)
        if written != _self_digest(body):
            raise ArtifactError(
                f"{where} was changed after it was written; restore it or export the artifact again"
            )
        try:
            files = {k: FileRecord(v["sha256"], v["bytes"]) for k, v in body["files"].items()}
            manifest = cls(ArtifactInfo.from_json(body), files, body["direct"])
        except (KeyError, TypeError, AutomlError) as error:
            raise ArtifactError(
                f"{where} lacks or misstates a field ({error}); export the artifact again"
            ) from error
        program = manifest.info.target.partition(":")[0] in PROGRAM_TARGETS
        missing = {WEIGHTS_FILE} - set(files) if program else {GRAPH_FILE, WEIGHTS_FILE} - set(files)
        if missing or any("/" in name or "\\" in name or name.startswith(".") for name in files):
            raise ArtifactError(
                f"{where} must list {GRAPH_FILE} and {WEIGHTS_FILE} as plain names; got {sorted(files)}"
            )
        return manifest


def _self_digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def package_versions() -> dict[str, str]:
    """Return the installed versions of the packages that shape an artifact; absent ones are left out."""
    found = {}
    for name in _VERSIONED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
