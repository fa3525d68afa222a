"""Run a deployed graph in this process, on the runtime and in the float type it was measured with.

Only the runtime is imported: no search, and torch only for a torch program. An ISA cap of the target is not
applied here, because it can only be set before a process starts; it changes speed, not what the model
computes beyond rounding.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Protocol

import numpy as np
import onnx

from automl.artifact.manifest import PROGRAM_TARGETS
from automl.core.errors import ArtifactError
from automl.core.errors import DataError
from automl.core.errors import EvaluationError
from automl.core.errors import MissingExtraError
from automl.core.errors import unknown_name
from automl.core.telemetry import forbid_openvino_telemetry

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Runner", "open_runner"]

_Arrays = tuple["NDArray[np.generic]", ...]


@dataclass(frozen=True)
class _Setup:
    """How to compile: float type, threads, further settings of the runtime."""

    float_type: str
    threads: int
    settings: Mapping[str, str]


class Runner(Protocol):
    """A compiled model."""

    def run(self, inputs: _Arrays) -> _Arrays:
        """Return the outputs for all samples, each (n_samples, ...)."""


@dataclass(frozen=True)
class _Input:
    """One input: name, type, shape with 0 where a dimension is free."""

    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]


def _onnx_inputs(model: onnx.ModelProto) -> tuple[_Input, ...]:
    initializers = {t.name for t in model.graph.initializer}
    return tuple(
        _Input(
            v.name,
            onnx.helper.tensor_dtype_to_np_dtype(v.type.tensor_type.elem_type),
            # A dimension with a name or without a value is free.
            tuple(d.dim_value if d.HasField("dim_value") else 0 for d in v.type.tensor_type.shape.dim),
        )
        for v in model.graph.input
        if v.name not in initializers
    )


class _BatchedRunner:
    """Checks the inputs against the graph and cuts them into the batches it was exported for."""

    def __init__(self, inputs: tuple[_Input, ...], call: Callable[[_Arrays], _Arrays]) -> None:
        self._names = [i.name for i in inputs]
        self._dtypes = [i.dtype for i in inputs]
        self._shapes = [i.shape for i in inputs]
        self._call = call

    def _checked(self, inputs: _Arrays) -> _Arrays:
        if len(inputs) != len(self._names):
            raise DataError(
                f"the model takes {len(self._names)} inputs ({', '.join(self._names)}); got {len(inputs)}"
            )
        ready = []
        for name, dtype, shape, array in zip(self._names, self._dtypes, self._shapes, inputs, strict=True):
            fits = array.ndim == len(shape) and all(
                want in (0, got) for want, got in zip(shape[1:], array.shape[1:], strict=True)
            )
            if not fits:
                wanted = ", ".join(["n", *("any" if s == 0 else str(s) for s in shape[1:])])
                raise DataError(f"input '{name}' must have shape ({wanted}); got {array.shape}")
            if not np.can_cast(array.dtype, dtype, casting="same_kind"):
                raise DataError(f"input '{name}' must be {dtype}; got {array.dtype}")
            ready.append(np.ascontiguousarray(array, dtype=dtype))
        if len({len(a) for a in ready}) != 1 or len(ready[0]) == 0:
            raise DataError(f"inputs must share one length above zero; got {[len(a) for a in ready]}")
        return tuple(ready)

    def run(self, inputs: _Arrays) -> _Arrays:
        """Return the outputs for all samples; the last piece is padded with its last sample."""
        arrays = self._checked(inputs)
        count = len(arrays[0])
        batch = self._shapes[0][0] or count
        pieces = []
        for start in range(0, count, batch):
            piece = tuple(a[start : start + batch] for a in arrays)
            short = batch - len(piece[0])
            if short:
                piece = tuple(np.concatenate([a, np.repeat(a[-1:], short, axis=0)]) for a in piece)
            pieces.append(tuple(out[: batch - short] for out in self._call(piece)))
        return tuple(np.concatenate(parts) for parts in zip(*pieces, strict=True))


def _openvino(model: onnx.ModelProto, setup: _Setup) -> _BatchedRunner:
    try:
        forbid_openvino_telemetry()
        import openvino
    except ImportError as error:
        raise MissingExtraError("OpenVINO is not installed; run: pip install openvino") from error
    settings = {
        "INFERENCE_PRECISION_HINT": setup.float_type,
        "INFERENCE_NUM_THREADS": str(setup.threads),
        "PERFORMANCE_HINT": "LATENCY",
        **setup.settings,
    }
    try:
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU", settings)
    except RuntimeError as error:
        raise ArtifactError(f"OpenVINO refuses the model: {error}; check the installed version") from error
    request = compiled.create_infer_request()

    def call(arrays: _Arrays) -> _Arrays:
        request.infer(list(arrays))
        return tuple(np.array(request.get_output_tensor(i).data) for i in range(len(compiled.outputs)))

    return _BatchedRunner(_onnx_inputs(model), call)


def _onnxruntime(model: onnx.ModelProto, setup: _Setup) -> _BatchedRunner:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("ONNX Runtime is not installed; run: pip install onnxruntime") from error
    if setup.float_type != "f32":
        raise ArtifactError(
            f"ONNX Runtime computes in f32 on CPUs; the artifact says {setup.float_type}; use openvino"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = setup.threads
    options.log_severity_level = 3
    for key, value in setup.settings.items():
        options.add_session_config_entry(key, value)
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except RuntimeError as error:
        raise ArtifactError(
            f"ONNX Runtime refuses the model: {error}; check the installed version"
        ) from error
    names = [i.name for i in session.get_inputs()]

    def call(arrays: _Arrays) -> _Arrays:
        return tuple(session.run(None, dict(zip(names, arrays, strict=True))))

    return _BatchedRunner(_onnx_inputs(model), call)


def _program(path: Path, target: str, setup: _Setup) -> _BatchedRunner:
    try:
        serving = importlib.import_module(_PROGRAM_ENTRY)
    except ImportError as error:
        raise MissingExtraError(f"torch is not installed ({error}); run: pip install torch") from error
    try:
        inputs, call = serving.open_artifact(path, target, float_type=setup.float_type, threads=setup.threads)
    except EvaluationError as error:
        raise ArtifactError(f"{error}; export the artifact again") from error
    found = tuple(_Input(i.name, np.dtype(i.dtype), i.shape) for i in inputs)
    return _BatchedRunner(found, call)


#: What runs torch programs; named and not imported, so that no other artifact loads torch.
_PROGRAM_ENTRY = "automl.targets.torch_serving"

_RUNTIMES = {"openvino": _openvino, "onnxruntime": _onnxruntime}


def open_runner(
    model: onnx.ModelProto | Path,
    target: str,
    *,
    float_type: str,
    threads: int,
    settings: Mapping[str, str] | None = None,
) -> Runner:
    """Return ``model`` compiled for ``target``.

    Args:
        model: a complete graph, or the file of a torch program.
        target: target name; options after a colon are not applied here.
        float_type: ``f32`` or ``bf16``.
        threads: threads it was measured with; fewer are used where the machine has fewer.
        settings: further settings of the runtime; None keeps its own.

    Raises:
        ArtifactError: the runtime is unknown here or refuses the model.
        MissingExtraError: the runtime is not installed.
    """
    runtime = target.split(":", maxsplit=1)[0]
    known = PROGRAM_TARGETS if isinstance(model, Path) else tuple(_RUNTIMES)
    if runtime not in known:
        raise ArtifactError(unknown_name("serving runtime", runtime, known))
    setup = _Setup(float_type, max(1, min(threads, os.cpu_count() or 1)), settings or {})
    if isinstance(model, Path):
        return _program(model, runtime, setup)
    return _RUNTIMES[runtime](model, setup)
