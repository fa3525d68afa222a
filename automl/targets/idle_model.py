"""The tiny model that a runtime serves before the memory of another one is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["idle_input", "idle_model"]

_SHAPE = (1, 4, 8, 8)
_OPSET = 17
_IR_VERSION = 8


def idle_input() -> NDArray[np.float32]:
    """Return the model's one input."""
    return np.ones(_SHAPE, np.float32)


def idle_model() -> bytes:
    """Return an ONNX file with one convolution and one matrix product.

    They make the runtime load its libraries, start its threads and set up its kernel generator, all of which
    it does once in a process, whatever it serves.
    """
    import onnx
    from onnx import helper
    from onnx import numpy_helper

    channels = _SHAPE[1]
    kernel = numpy_helper.from_array(np.ones((channels, channels, 3, 3), np.float32), "kernel")
    matrix = numpy_helper.from_array(np.ones((channels, channels), np.float32), "matrix")
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["conv"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("GlobalAveragePool", ["relu"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["y"]),
    ]
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "idle",
        [helper.make_tensor_value_info("x", kind, _SHAPE)],
        [helper.make_tensor_value_info("y", kind, (1, channels))],
        [kernel, matrix],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    content: bytes = made.SerializeToString()
    return content
