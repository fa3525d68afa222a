"""What the CPU targets share: a worker process behind the :class:`automl.targets.base.Target` protocol."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from automl.core.errors import ConfigError
from automl.core.errors import EvaluationError
from automl.targets.base import Footprint
from automl.targets.base import NodeProfile
from automl.targets.base import TargetInfo
from automl.targets.deployable import Deployable
from automl.targets.fingerprint import available_cores
from automl.targets.fingerprint import machine_fingerprint
from automl.targets.idle_model import idle_model
from automl.targets.legality import cpu_legality
from automl.targets.qdq import apply_plan
from automl.targets.qdq import packed_bits
from automl.targets.timing import summarize
from automl.targets.worker_client import WorkerClient

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.searchspaces.graph import ModelGraph
    from automl.searchspaces.graph import TracedModel
    from automl.targets.base import Legality
    from automl.targets.base import Timing
    from automl.targets.onnx_export import BaseOnnx
    from automl.transforms.plan import QuantizationPlan
    from automl.transforms.plan import QuantizationRules

    Arrays = Sequence[NDArray[np.generic]]

__all__ = ["RuntimeTarget"]

#: Untimed runs of each model before the first timed one.
_WARMUP = 5

#: Runs before each reading of the memory.
_SERVED = 5


class RuntimeTarget:
    """A CPU runtime in a worker process of its own.

    Args:
        name: the target's name with its options.
        runtime: name of the worker's backend.
        rules: where the runtime wants quantizers.
        isa: instruction-set cap, for the record.
        environment: variables set before the runtime is loaded.
        threads: inference threads, every core when None.
        batch: samples of one timed run, for those who build its inputs.
        timeout_s: seconds a command may take.
        own_core: keep the worker process to a core that no other such process has, for one thread.

    Raises:
        ConfigError: threads or batch are not positive, or there are fewer cores than threads.
    """

    #: Suffix of the files it serves.
    suffix = ".onnx"

    def __init__(
        self,
        name: str,
        runtime: str,
        rules: QuantizationRules,
        *,
        isa: str | None = None,
        environment: Mapping[str, str] | None = None,
        threads: int | None = None,
        batch: int = 1,
        timeout_s: float = 600.0,
        own_core: bool = False,
    ) -> None:
        cores = available_cores()
        if threads is not None and threads < 1:
            raise ConfigError(f"threads are {threads}; give a number from 1 to {cores}")
        if batch < 1:
            raise ConfigError(f"batch is {batch}; give a positive number of samples")
        self.name = name
        self.threads = threads or cores
        self.batch = batch
        self._rules = rules
        self._isa = isa
        self._start = partial(WorkerClient, runtime, self.threads, environment, timeout_s, own_core=own_core)
        self._client = self._start()
        self._info: TargetInfo | None = None
        self._order: tuple[int, ...] = ()

    def info(self) -> TargetInfo:
        """Return what this target is on this machine; starts the worker the first time.

        Raises:
            TargetError: the runtime cannot be started.
        """
        if self._info is None:
            reply, _ = self._client.call("info")
            machine = machine_fingerprint(runtime=reply["runtime"], threads=self.threads, isa=self._isa)
            machine |= reply.get("machine", {})
            self._info = TargetInfo(
                name=self.name,
                runtime=reply["runtime"],
                device=reply["device"] if reply["device"] not in ("", "x86_64") else machine["cpu"],
                threads=self.threads,
                float_types=tuple(reply["float_types"]),
                default_float=reply["default_float"],
                machine=machine,
            )
        return self._info

    @property
    def worker_pid(self) -> int | None:
        """Process id of the running worker, None when there is none."""
        return self._client.pid

    @property
    def run_order(self) -> tuple[int, ...]:
        """Which model each run of the last timing was of, in the order in which they were taken."""
        return self._order

    @property
    def rules(self) -> QuantizationRules:
        """Where this runtime wants quantizers besides the inputs of quantized sites."""
        return self._rules

    def legality(self, graph: ModelGraph) -> Legality:
        """Return which options of which sites this runtime runs, with reasons for the others."""
        return cpu_legality(graph, self.info().float_types)

    def deployable(self, traced: TracedModel, base: BaseOnnx, plan: QuantizationPlan) -> Deployable:
        """Return the candidate as an ONNX graph; runtimes with files of their own kind override it."""
        model = apply_plan(base, plan, self.name)
        return Deployable(model, packed_bits(plan, model))

    def idle_file(self) -> tuple[str, bytes]:
        """Return suffix and content of the tiny model that is served before memory is counted."""
        return ".onnx", idle_model()

    def predict(
        self, model: Path, inputs: Arrays, *, float_type: str, batch: int
    ) -> tuple[NDArray[np.float32], ...]:
        """Return the outputs for all samples; a model with a fixed batch is run in batches of that size.

        Args:
            model: file of the kind that :meth:`deployable` gives.
            inputs: arrays with the samples first, all of the same number.
            float_type: how everything that is not quantized is computed.
            batch: samples per run.

        Raises:
            EvaluationError: inputs are empty or of different numbers, or the model fails.
        """
        samples = self._samples(inputs)
        shapes = [(min(batch, samples), *a.shape[1:]) for a in inputs]
        handle, fixed = self._client.load(model, float_type=float_type, shapes=shapes)
        step = fixed or batch
        chunks: list[list[NDArray[np.generic]]] = []
        for start in range(0, samples, step):
            part = [a[start : start + step] for a in inputs]
            count = len(part[0])
            if fixed and count < fixed:
                part = [np.concatenate([p, np.repeat(p[-1:], fixed - count, axis=0)]) for p in part]
            _, outputs = self._client.call("predict", {"handle": handle}, part)
            chunks.append([o[:count] for o in outputs])
        self._client.trim()
        return tuple(np.concatenate(column).astype(np.float32) for column in zip(*chunks, strict=True))

    def time(self, models: Sequence[tuple[Path, str]], inputs: Arrays, *, repeats: int) -> list[Timing]:
        """Time (file, float type) pairs interleaved, one batch of ``inputs`` per run, warmed up first.

        Raises:
            EvaluationError: a model fails or there is nothing to repeat.
        """
        return [summarize(s) for s in self.run_times(models, inputs, repeats=repeats)]

    def run_times(
        self, models: Sequence[tuple[Path, str]], inputs: Arrays, *, repeats: int
    ) -> list[list[float]]:
        """Return the single run times in ms behind :meth:`time`, in the order they were taken.

        Raises:
            EvaluationError: a model fails or there is nothing to repeat.
        """
        return self._timed(models, inputs, repeats)[0]

    def _timed(
        self, models: Sequence[tuple[Path, str]], inputs: Arrays, repeats: int
    ) -> tuple[list[list[float]], list[str]]:
        """Return run times in ms, and for each model how the worker took them; "" by the host's clock."""
        if repeats < 1:
            raise EvaluationError(f"repeats are {repeats}; ask for at least one")
        samples = self._samples(inputs)
        shapes = [a.shape for a in inputs]
        handles = []
        for path, float_type in models:
            handle, fixed = self._client.load(path, float_type=float_type, shapes=shapes)
            if fixed not in (None, samples):
                raise EvaluationError(
                    f"{path.name} takes batches of {fixed}, not {samples}; set batch={fixed}"
                )
            handles.append(handle)
        arguments = {"handles": handles, "repeats": repeats, "warmup": _WARMUP}
        reply, _ = self._client.call("time", arguments, inputs)
        self._client.trim()
        self._order = tuple(map(int, reply["order"]))
        how = [str(h) for h in reply["how"]] or [""] * len(handles)
        return [list(map(float, s)) for s in reply["samples"]], how

    def profile(self, model: Path, inputs: Arrays, *, float_type: str, repeats: int) -> list[NodeProfile]:
        """Return the runtime's executed nodes in execution order with mean times.

        Raises:
            EvaluationError: the model fails.
        """
        self._samples(inputs)
        shapes = [a.shape for a in inputs]
        handle, _ = self._client.load(model, float_type=float_type, shapes=shapes, profile=True)
        try:
            reply, _ = self._client.call("profile", {"handle": handle, "repeats": repeats}, inputs)
        finally:
            self._client.unload(handle)
        return [
            NodeProfile(n["name"], n["op"], n["precision"], float(n["ms"]), tuple(n["origins"]))
            for n in reply["nodes"]
        ]

    def memory(self, model: Path, inputs: Arrays, *, float_type: str, processes: int) -> list[Footprint]:
        """Return what serving one batch of ``inputs`` holds resident, measured once in each fresh process.

        The processes are started one after the other with the settings of the timing worker, and end at once.

        Raises:
            TargetError: the runtime cannot be started.
            EvaluationError: the model fails, its process dies, or the system does not tell.
        """
        if processes < 1:
            raise EvaluationError(f"processes are {processes}; ask for at least one")
        self._samples(inputs)
        with tempfile.TemporaryDirectory(prefix="automl-memory-") as place:
            suffix, content = self.idle_file()
            idle = Path(place) / f"idle{suffix}"
            idle.write_bytes(content)
            arguments = {
                "path": str(model.resolve()),
                "idle": str(idle),
                "float_type": float_type,
                "runs": _SERVED,
            }
            return [self._footprint(arguments, inputs) for _ in range(processes)]

    def _footprint(self, arguments: Mapping[str, object], inputs: Arrays) -> Footprint:
        client = self._start()
        try:
            reply, _ = client.call("memory", arguments, inputs)
        finally:
            client.close()
        return Footprint(reply["resident"], reply["peak"])

    def close(self) -> None:
        """Stop the worker process; the target can be used again afterwards."""
        self._client.close()

    def _samples(self, inputs: Arrays) -> int:
        counts = {len(a) for a in inputs}
        if len(counts) != 1 or 0 in counts:
            raise EvaluationError(
                f"inputs hold {sorted(counts)} samples; give the same positive number in each"
            )
        return counts.pop()
