"""Weights beside the graph: initializers move to one safetensors file, low-bit codes bit-packed.

The graph keeps every initializer's name, type and shape, and refers to the bytes by ONNX's external data
mechanism: offset and length point into the safetensors file, whose payload is raw little-endian. So a graph
without packed tensors runs in any ONNX runtime as it lies on disk; a packed tensor carries one more key,
``bits``, and is restored by :func:`attach_weights`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import numpy_helper

from automl.artifact.packing import pack_bits
from automl.artifact.packing import unpack_bits
from automl.core.errors import ArtifactError
from automl.core.errors import unknown_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["attach_weights", "detach_weights"]

#: Smaller initializers (scales of small layers, shapes, axes) stay in the graph, which runtimes read first.
_MIN_BYTES = 1024

#: ONNX types that safetensors has a name for, with their width in bytes; others are stored as plain bytes.
_TYPES = {
    onnx.TensorProto.DOUBLE: ("F64", 8),
    onnx.TensorProto.INT64: ("I64", 8),
    onnx.TensorProto.FLOAT: ("F32", 4),
    onnx.TensorProto.INT32: ("I32", 4),
    onnx.TensorProto.FLOAT16: ("F16", 2),
    onnx.TensorProto.BFLOAT16: ("BF16", 2),
    onnx.TensorProto.INT16: ("I16", 2),
    onnx.TensorProto.INT8: ("I8", 1),
    onnx.TensorProto.UINT8: ("U8", 1),
    onnx.TensorProto.BOOL: ("BOOL", 1),
}


@dataclass(frozen=True)
class _Entry:
    """One tensor of the safetensors file."""

    name: str
    kind: str
    width: int
    shape: tuple[int, ...]
    data: bytes


def _raw(tensor: onnx.TensorProto) -> bytes:
    if tensor.HasField("raw_data"):
        return bytes(tensor.raw_data)
    return bytes(numpy_helper.from_array(numpy_helper.to_array(tensor)).raw_data)


def _entry(tensor: onnx.TensorProto, raw: bytes, bits: int | None) -> _Entry:
    """Return safetensors' view of an initializer: packed and sub-byte types as plain bytes."""
    if bits is not None:
        if tensor.data_type != onnx.TensorProto.INT8:
            kind = onnx.TensorProto.DataType.Name(tensor.data_type)
            raise ArtifactError(f"initializer '{tensor.name}' is {kind}; only INT8 codes can be bit-packed")
        stream = pack_bits(np.frombuffer(raw, dtype=np.int8), bits)
        return _Entry(tensor.name, "U8", 1, (stream.size,), stream.tobytes())
    if tensor.data_type in _TYPES:
        kind, width = _TYPES[tensor.data_type]
        return _Entry(tensor.name, kind, width, tuple(tensor.dims), raw)
    return _Entry(tensor.name, "U8", 1, (len(raw),), raw)


def _safetensors(entries: Sequence[_Entry]) -> tuple[bytes, dict[str, tuple[int, int]]]:
    """Return (file content, name -> (offset in the file, length)).

    Written here because ONNX needs the offsets and the library's low-level writer changes between versions;
    wide types come first, so that every tensor is aligned to its own width, as the library does.
    """
    header: dict[str, object] = {"__metadata__": {"format": "automl"}}
    position, places = 0, {}
    ordered = sorted(entries, key=lambda e: -e.width)
    for entry in ordered:
        places[entry.name] = (position, len(entry.data))
        header[entry.name] = {
            "dtype": entry.kind,
            "shape": list(entry.shape),
            "data_offsets": [position, position + len(entry.data)],
        }
        position += len(entry.data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    content = b"".join([len(text).to_bytes(8, "little"), text, *(e.data for e in ordered)])
    return content, {k: (8 + len(text) + low, length) for k, (low, length) in places.items()}


def detach_weights(
    model: onnx.ModelProto, packed: Mapping[str, int], location: str
) -> tuple[onnx.ModelProto, bytes]:
    """Return (graph without large initializers, safetensors file content).

    Args:
        model: a model whose data is in memory; not changed.
        packed: initializer name -> bits for INT8 codes to store bit-packed; 8 is stored plainly.
        location: file name the graph will refer to.

    Raises:
        ArtifactError: ``packed`` names no INT8 initializer, or a code does not fit its bits.
    """
    graph = onnx.ModelProto()
    graph.CopyFrom(model)
    names = [t.name for t in graph.graph.initializer]
    for name in packed:
        if name not in names:
            raise ArtifactError(unknown_name("initializer to pack", name, names))
    moved: list[tuple[onnx.TensorProto, int | None]] = []
    entries: list[_Entry] = []
    for tensor in graph.graph.initializer:
        raw = _raw(tensor)
        if len(raw) < _MIN_BYTES:
            continue
        bits = packed.get(tensor.name, 8)
        moved.append((tensor, bits if bits != 8 else None))
        entries.append(_entry(tensor, raw, moved[-1][1]))
    content, places = _safetensors(entries)
    for tensor, low_bits in moved:
        _refer(tensor, location, places[tensor.name], low_bits)
    return graph, content


def _refer(tensor: onnx.TensorProto, location: str, place: tuple[int, int], bits: int | None) -> None:
    dims, kind, name = list(tensor.dims), tensor.data_type, tensor.name
    tensor.Clear()
    tensor.name, tensor.data_type = name, kind
    tensor.dims.extend(dims)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    facts = {"location": location, "offset": place[0], "length": place[1]}
    for key, value in (facts | ({} if bits is None else {"bits": bits})).items():
        tensor.external_data.add(key=key, value=str(value))


def attach_weights(graph: onnx.ModelProto, weights: Path) -> onnx.ModelProto:
    """Return a complete model in memory: the inverse of :func:`detach_weights`.

    Raises:
        ArtifactError: the graph refers to another file or to bytes that are not there.
    """
    model = onnx.ModelProto()
    model.CopyFrom(graph)
    content = np.memmap(weights, dtype=np.uint8, mode="r")
    for tensor in model.graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        facts = {e.key: e.value for e in tensor.external_data}
        offset, length = int(facts["offset"]), int(facts["length"])
        if facts["location"] != weights.name or offset < 0 or offset + length > content.size:
            raise ArtifactError(
                f"initializer '{tensor.name}' refers to bytes {offset} to {offset + length} of "
                f"{facts['location']}, but the weights are {weights.name} with {content.size} bytes"
            )
        stream = np.asarray(content[offset : offset + length])
        raw = stream.tobytes()
        if "bits" in facts:
            raw = unpack_bits(stream, int(facts["bits"]), tuple(tensor.dims)).tobytes()
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
        tensor.raw_data = raw
    return model
