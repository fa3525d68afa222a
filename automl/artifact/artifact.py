"""An artifact: a verified folder that predicts and exports without the search that made it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx

from automl.artifact.export import EXPORTS
from automl.artifact.export import write_copy
from automl.artifact.export import write_onnx
from automl.artifact.export import write_openvino
from automl.artifact.manifest import GRAPH_FILE
from automl.artifact.manifest import WEIGHTS_FILE
from automl.artifact.runtime import open_runner
from automl.artifact.weights import attach_weights
from automl.core.errors import ArtifactError
from automl.core.errors import unknown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.artifact.manifest import Manifest
    from automl.artifact.runtime import Runner

__all__ = ["Artifact"]


@dataclass(frozen=True)
class Artifact:
    """A deployed candidate; get one from :func:`automl.artifact.load.load_artifact`, which verifies it.

    Args:
        folder: where it lies.
        manifest: what it is and how it was measured.
    """

    folder: Path
    manifest: Manifest

    @property
    def size_bytes(self) -> int:
        """Bytes of graph and weights on disk."""
        return sum((self.folder / name).stat().st_size for name in self.manifest.model_files)

    @property
    def is_onnx(self) -> bool:
        """Whether the model is an ONNX graph; otherwise it is a torch program."""
        return GRAPH_FILE in self.manifest.files

    def onnx_model(self) -> onnx.ModelProto:
        """Return the complete graph in memory, packed weights unpacked to INT8 initializers.

        Raises:
            ArtifactError: the graph cannot be read.
        """
        path = self.folder / GRAPH_FILE
        if not self.is_onnx:
            raise ArtifactError(
                f"{self.folder} holds a torch program for target {self.manifest.info.target}, not an ONNX "
                "graph; export it with --to torch, or search with --target openvino or onnxruntime"
            )
        try:
            graph = onnx.load(str(path), load_external_data=False)
        except (OSError, ValueError) as error:
            raise ArtifactError(f"cannot read {path}: {error}; export the artifact again") from error
        return attach_weights(graph, self.folder / WEIGHTS_FILE)

    @cached_property
    def _runner(self) -> Runner:
        info = self.manifest.info
        return open_runner(
            self.onnx_model() if self.is_onnx else self.folder / WEIGHTS_FILE,
            info.target,
            float_type=info.float_type,
            threads=info.threads,
            settings=info.settings,
        )

    def predict(
        self, inputs: NDArray[np.generic] | Sequence[NDArray[np.generic]]
    ) -> NDArray[np.generic] | tuple[NDArray[np.generic], ...]:
        """Return the model's outputs for a batch, run in this process on the runtime it was measured on.

        Args:
            inputs: one array, or one per model input in order, each (n_samples, ...) of any n_samples; a
                graph exported for a fixed batch is run in pieces of that batch.

        Returns:
            (n_samples, ...) for a model with one output, else a tuple of such arrays.

        Raises:
            DataError: number, shape or kind of the inputs does not fit.
            ArtifactError: the runtime is missing or refuses the model.
        """
        arrays = (inputs,) if isinstance(inputs, np.ndarray) else tuple(np.asarray(a) for a in inputs)
        outputs = self._runner.run(arrays)
        return outputs[0] if len(outputs) == 1 else outputs

    def write(self, path: Path | str) -> Path:
        """Write the one file that the runtime loads, with the suffix of its kind, and return its path."""
        if self.is_onnx:
            return self.write_onnx(Path(f"{path}.onnx"))
        return write_copy(self.folder / WEIGHTS_FILE, Path(f"{path}.safetensors"))

    def write_onnx(self, path: Path | str) -> Path:
        """Write one self-contained ONNX file and return its path."""
        return write_onnx(self.onnx_model(), Path(path))

    def export(self, path: Path | str, *, to: str = "onnx") -> Path:
        """Write the model in another format and return the path of its main file.

        Args:
            path: the file to write; for ``openvino`` the ``.xml``, the ``.bin`` lies beside it.
            to: ``onnx`` or ``openvino``.

        Raises:
            ArtifactError: unknown format, or the file cannot be written.
        """
        if to not in EXPORTS:
            raise ArtifactError(unknown_name("export format", to, EXPORTS))
        if to == "openvino":
            return write_openvino(self.onnx_model(), Path(path))
        return self.write_onnx(path)
