"""ONNX Runtime inside the worker process."""

from __future__ import annotations

import json
import platform
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import onnxruntime as ort

from automl.core.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Arrays = Sequence[NDArray[np.generic]]

__all__ = ["OnnxRuntimeBackend"]

#: Names of the profile's tensor types as :class:`automl.targets.base.NodeProfile` spells precisions.
_PRECISIONS = {"float": "f32", "uint8": "u8", "int8": "i8", "int32": "i32", "int64": "i64", "float16": "f16"}


class OnnxRuntimeBackend:
    """The CPU execution provider of ONNX Runtime.

    Args:
        threads: threads within an operator.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def info(self) -> dict[str, Any]:
        """Return runtime, device and float types; the CPU provider computes in f32 alone."""
        return {
            "runtime": f"onnxruntime {ort.__version__}",
            "device": platform.processor() or platform.machine(),
            "float_types": ["f32"],
            "default_float": "f32",
        }

    def load(self, path: str, *, float_type: str, shapes: list[list[int]], profile: bool) -> OnnxRuntimeModel:
        """Optimize and load; a symbolic batch is fixed to that of ``shapes``."""
        if float_type != "f32":
            raise EvaluationError(f"onnxruntime computes in f32 on CPUs, not in {float_type}")
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 4
        wanted = _input_shapes(path)
        if len(wanted) != len(shapes):
            raise EvaluationError(f"the model takes {len(wanted)} inputs, got {len(shapes)}")
        for sizes, shape in zip(wanted, shapes, strict=True):
            for size, given in zip(sizes, shape, strict=True):
                if isinstance(size, str):
                    options.add_free_dimension_override_by_name(size, given)
        return OnnxRuntimeModel(path, options, profile=profile)


def _input_shapes(path: str) -> list[list[int | str]]:
    """Return the shape of each input as the file states it; the session is gone before another is made."""
    session = ort.InferenceSession(path, _lean_options(), providers=["CPUExecutionProvider"])
    return [list(value.shape) for value in session.get_inputs()]


def _lean_options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return options


class OnnxRuntimeModel:
    """A session.

    Args:
        path: the ONNX file.
        options: session options with the batch fixed.
        profile: whether :meth:`profile` will be called.
    """

    def __init__(self, path: str, options: ort.SessionOptions, *, profile: bool) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="automl-profile-") if profile else None
        if self._folder is not None:
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(self._folder.name) / "run")
        self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._names = [i.name for i in self._session.get_inputs()]
        size = self._session.get_inputs()[0].shape[0]
        self.batch: int | None = size if isinstance(size, int) else None

    def run(self, inputs: Arrays) -> list[NDArray[np.generic]]:
        """Run one batch."""
        outputs = self._session.run(None, dict(zip(self._names, inputs, strict=True)))
        return [np.asarray(o) for o in outputs]

    def bind(self, inputs: Arrays) -> Callable[[], object]:
        """Return a function that runs the model on ``inputs``."""
        feeds = dict(zip(self._names, inputs, strict=True))
        return lambda: self._session.run(None, feeds)

    def profile(self, inputs: Arrays, repeats: int) -> list[dict[str, Any]]:
        """Return executed nodes with the mean of all but the first three runs; can be called once."""
        warm = 3
        for _ in range(warm + repeats):
            self.run(inputs)
        events = json.loads(Path(self._session.end_profiling()).read_text())
        times: dict[str, list[float]] = {}
        facts: dict[str, dict[str, Any]] = {}
        for event in events:
            name = event.get("name", "")
            if event.get("cat") == "Node" and name.endswith("_kernel_time"):
                node = name.removesuffix("_kernel_time")
                times.setdefault(node, []).append(event["dur"] / 1e3)
                facts[node] = event["args"]
        return [
            {
                "name": node,
                "op": facts[node].get("op_name", ""),
                "precision": _precision(facts[node]),
                "ms": float(np.mean(spent[warm:])) if len(spent) > warm else float(np.mean(spent)),
                "origins": [_origin(node)],
            }
            for node, spent in times.items()
        ]


def _origin(node: str) -> str:
    """Return the model-graph value in a node name of the optimized graph."""
    return re.sub(r"(_nchwc|_token_\d+|_quant|\.q\d+)+$", "", node.removeprefix("fused ").partition("/")[0])


def _precision(facts: dict[str, Any]) -> str:
    for shapes in (facts.get("input_type_shape", []), facts.get("output_type_shape", [])):
        for entry in shapes[:1]:
            kind = str(next(iter(entry)))
            return _PRECISIONS.get(kind, kind)
    return ""
