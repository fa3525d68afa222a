"""What a target promises: legality, a deployable graph, predictions and times on the serving runtime."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any
from typing import Protocol
from typing import runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from automl.searchspaces.graph import ModelGraph
    from automl.searchspaces.graph import TracedModel
    from automl.targets.deployable import Deployable
    from automl.targets.onnx_export import BaseOnnx
    from automl.transforms.plan import QuantizationPlan
    from automl.transforms.plan import QuantizationRules

__all__ = ["Footprint", "Legality", "NodeProfile", "Target", "TargetInfo", "Timing"]


@dataclass(frozen=True)
class TargetInfo:
    """What a target is on this machine.

    Args:
        name: ``openvino`` or ``onnxruntime``; with its options, for example ``openvino:isa=avx512_core``.
        runtime: runtime name and version.
        device: the processor as the runtime or the system names it.
        threads: threads the runtime may use.
        float_types: float types the runtime computes in, best first, ``f32`` included.
        default_float: what the runtime would choose by itself.
        machine: fingerprint of the machine and runtime settings; recorded with every measurement.
    """

    name: str
    runtime: str
    device: str
    threads: int
    float_types: tuple[str, ...]
    default_float: str
    machine: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Legality:
    """What the target can really run.

    Args:
        options: site name -> legal precision options, most faithful first, ``fp`` always among them.
        ties: groups of sites that must share their option, each in execution order.
        struck: (site, option, reason) of every option that was struck out.
        float_types: legal options of ``float:model``.
    """

    options: Mapping[str, tuple[str, ...]]
    ties: tuple[tuple[str, ...], ...]
    struck: tuple[tuple[str, str, str], ...]
    float_types: tuple[str, ...]


@dataclass(frozen=True)
class Timing:
    """Latency of one compiled model at the target's batch, threads and shapes.

    Args:
        median_ms: median over ``repeats``.
        low_ms: lower end of the 95 % interval of the median.
        high_ms: upper end.
        p95_ms: 95th percentile of the single runs.
        repeats: number of timed runs.
        how: how the runs were taken, one sentence; empty for the host's clock around calls.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    p95_ms: float
    repeats: int
    how: str = ""


@dataclass(frozen=True)
class Footprint:
    """Memory of one process that serves one model, beyond what the runtime holds without it.

    Args:
        resident_bytes: held while serving.
        peak_bytes: the most that was held from before the file was read; None when the system does not tell.
    """

    resident_bytes: int
    peak_bytes: int | None = None


@dataclass(frozen=True)
class NodeProfile:
    """One executed node of the runtime's own profile.

    Args:
        name: the runtime's node name.
        op: executed kind (``Convolution``, ``Reorder``, ``Convert``, ``Subgraph``, ...).
        precision: executed precision as the runtime names it (``i8``, ``bf16``, ``f32``, ...).
        ms: mean time per run, milliseconds.
        origins: names of the graph values or layers fused into it, as far as the runtime tells.
    """

    name: str
    op: str
    precision: str
    ms: float
    origins: tuple[str, ...] = ()


@runtime_checkable
class Target(Protocol):
    """A device + runtime that serves models in files of its own kind.

    ``float_type`` is a compile setting, not part of the file: one file can be compiled in f32 and bf16.
    All methods that run a model do so in the target's worker process, with its ISA cap and thread count.
    """

    def info(self) -> TargetInfo:
        """Return what this target is on this machine; cheap after the first call."""

    @property
    def rules(self) -> QuantizationRules:
        """Where this runtime wants quantizers besides the inputs of quantized sites."""

    @property
    def suffix(self) -> str:
        """Suffix of the files it serves, ``.onnx`` or ``.safetensors``."""

    def legality(self, graph: ModelGraph) -> Legality:
        """Return which options of which sites this runtime runs, with reasons for the others."""

    def deployable(self, traced: TracedModel, base: BaseOnnx, plan: QuantizationPlan) -> Deployable:
        """Return a candidate in the form this runtime loads; the other methods take its content as a file.

        Args:
            traced: the model.
            base: the same as an exported ONNX graph.
            plan: what the candidate quantizes.
        """

    def predict(
        self, model: Path, inputs: Sequence[NDArray[np.generic]], *, float_type: str, batch: int
    ) -> tuple[NDArray[np.float32], ...]:
        """Return the outputs of ``model`` for all samples, run ``batch`` at a time, each (n_samples, ...)."""

    def time(
        self, models: Sequence[tuple[Path, str]], inputs: Sequence[NDArray[np.generic]], *, repeats: int
    ) -> list[Timing]:
        """Time (file, float type) pairs interleaved, one batch of ``inputs`` per run, warmed up first."""

    def profile(
        self, model: Path, inputs: Sequence[NDArray[np.generic]], *, float_type: str, repeats: int
    ) -> list[NodeProfile]:
        """Return the runtime's executed nodes in execution order with mean times."""

    def memory(
        self, model: Path, inputs: Sequence[NDArray[np.generic]], *, float_type: str, processes: int
    ) -> list[Footprint]:
        """Return what serving one batch of ``inputs`` holds resident, measured once in each fresh process."""

    def close(self) -> None:
        """Stop the worker process; the target can be used again afterwards."""
