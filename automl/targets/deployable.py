"""What a target serves: one file's content, and what the artifact and the report want to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx

    from automl.core.served import ServedSite

__all__ = ["Deployable"]


@dataclass(frozen=True, eq=False)
class Deployable:
    """A candidate in the form that its runtime loads.

    Args:
        model: an ONNX graph with its data in memory, or the content of a torch program file.
        packed: ONNX initializer -> bits of the codes that an artifact stores as a bit stream.
        served: which kernel serves each site, empty where the runtime does not tell.
    """

    model: onnx.ModelProto | bytes
    packed: Mapping[str, int] = field(default_factory=dict)
    served: tuple[ServedSite, ...] = ()

    @property
    def suffix(self) -> str:
        """Suffix of the file."""
        return ".safetensors" if isinstance(self.model, bytes) else ".onnx"

    @property
    def content(self) -> bytes:
        """Content of the one file that the runtime loads."""
        if isinstance(self.model, bytes):
            return self.model
        content: bytes = self.model.SerializeToString()
        return content
