"""OpenVINO inside the worker process."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.core.errors import EvaluationError
from automl.core.telemetry import forbid_openvino_telemetry

forbid_openvino_telemetry()
import openvino as ov  # noqa: E402  (after the telemetry is forbidden)

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Arrays = Sequence[NDArray[np.generic]]

__all__ = ["OpenVinoBackend"]

_FLOATS = {"f32": "FP32", "bf16": "BF16"}


class OpenVinoBackend:
    """The CPU device of OpenVINO.

    Args:
        threads: inference threads.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._core = ov.Core()

    def info(self) -> dict[str, Any]:
        """Return runtime, device, float types, the default first."""
        able = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        found = self._core.get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name()
        types = [name for name, key in _FLOATS.items() if key in able]
        default = found if found in types else "f32"
        return {
            "runtime": f"openvino {ov.__version__.partition('-')[0]}",
            "device": str(self._core.get_property("CPU", "FULL_DEVICE_NAME")),
            "float_types": [default, *(t for t in types if t != default)],
            "default_float": default,
        }

    def load(self, path: str, *, float_type: str, shapes: list[list[int]], profile: bool) -> OpenVinoModel:
        """Compile for the latency of inputs of ``shapes``; a model with a fixed batch keeps it."""
        model = self._core.read_model(path)
        if len(model.inputs) != len(shapes):
            raise EvaluationError(f"the model takes {len(model.inputs)} inputs, got {len(shapes)}")
        if any(i.get_partial_shape().is_dynamic for i in model.inputs):
            model.reshape({i.get_any_name(): s for i, s in zip(model.inputs, shapes, strict=True)})
        compiled = self._core.compile_model(
            model,
            "CPU",
            {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": self._threads,
                "INFERENCE_PRECISION_HINT": float_type,
                "NUM_STREAMS": 1,
                "PERF_COUNT": profile,
            },
        )
        return OpenVinoModel(compiled)


class OpenVinoModel:
    """A compiled model and its one request.

    Args:
        compiled: with static shapes.
    """

    def __init__(self, compiled: ov.CompiledModel) -> None:
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        self.batch: int | None = int(compiled.inputs[0].shape[0])

    def run(self, inputs: Arrays) -> list[NDArray[np.generic]]:
        """Run one batch; the outputs are copies."""
        self.bind(inputs)()
        return [np.array(self._request.get_output_tensor(i).data) for i in range(len(self._compiled.outputs))]

    def bind(self, inputs: Arrays) -> Callable[[], object]:
        """Return a function that runs the model on ``inputs``."""
        for index, array in enumerate(inputs):
            self._request.set_input_tensor(index, ov.Tensor(np.ascontiguousarray(array)))
        return lambda: self._request.infer()

    def profile(self, inputs: Arrays, repeats: int) -> list[dict[str, Any]]:
        """Return executed nodes; a node the runtime inserted has the origins of what it reads.

        The runtime keeps running means, so the warm-up's share is taken out.
        """
        warm = 3
        run = self.bind(inputs)
        for _ in range(warm):
            run()
        before = self._means()
        for _ in range(repeats):
            run()
        after = self._means()
        nodes = []
        origins: dict[str, list[str]] = {}
        for node in self._compiled.get_runtime_model().get_ordered_ops():
            facts = {k: v.astype(str) for k, v in node.get_rt_info().items() if k in _FACTS}
            name = node.get_friendly_name()
            origins[name] = _origins(facts.get("originalLayersNames", "")) or [
                origin
                for value in node.inputs()
                for origin in origins.get(value.get_source_output().get_node().get_friendly_name(), ())
            ]
            if facts.get("layerType") in _SILENT or name not in after:
                continue
            total = after[name] * (warm + repeats) - before.get(name, 0.0) * warm
            entry = {
                "name": name,
                "op": facts.get("layerType", ""),
                "precision": facts.get("runtimePrecision", ""),
                "ms": max(total / repeats, 0.0),
                "origins": origins[name],
            }
            nodes.append((int(facts.get("execOrder", 0)), entry))
        return [entry for _, entry in sorted(nodes, key=lambda pair: pair[0])]

    def _means(self) -> dict[str, float]:
        infos = self._request.get_profiling_info()
        return {i.node_name: i.real_time.total_seconds() * 1e3 for i in infos}


def _origins(layers: str) -> list[str]:
    """Return the model-graph values among fused layers, once each; generated names are left out."""
    found: dict[str, None] = {}
    for layer in layers.split(","):
        value = re.sub(r"\.q\d+$", "", layer.partition("/")[0])
        if value and not re.fullmatch(r"[A-Z]\w*|n\d+(_\d+)?|constant|.*\.(scale|zero|codes)", value):
            found[value] = None
    return list(found)


_FACTS = ("layerType", "runtimePrecision", "originalLayersNames", "execOrder")
_SILENT = ("Input", "Const", "Output", "Constant", "Parameter", "Result")
