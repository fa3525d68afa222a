"""ONNX Runtime on CPUs."""

from __future__ import annotations

from dataclasses import replace

from automl.targets.fingerprint import cpu_facts
from automl.targets.fingerprint import saturates
from automl.targets.runtime_target import RuntimeTarget
from automl.transforms.plan import QuantizationRules

__all__ = ["ONNXRUNTIME_RULES", "OnnxRuntimeTarget"]

#: Integer kernels need quantized operands on every side, so joins and reductions get them too.
ONNXRUNTIME_RULES = QuantizationRules(
    joins=("add", "concat"),
    reductions=("mean", "avg_pool"),
    passthrough=("max_pool", "reshape", "flatten", "transpose", "pad"),
)


class OnnxRuntimeTarget(RuntimeTarget):
    """The CPU execution provider of ONNX Runtime in a worker process; it computes in f32 and int8.

    Args:
        threads: inference threads, every core when None.
        batch: samples of one timed run.
        own_core: keep the worker process to a core of its own, for one thread.

    Raises:
        ConfigError: threads or batch are not positive.
    """

    def __init__(self, threads: int | None = None, batch: int = 1, own_core: bool = False) -> None:
        rules = replace(ONNXRUNTIME_RULES, saturating=saturates(cpu_facts()["flags"], None))
        super().__init__("onnxruntime", "onnxruntime", rules, threads=threads, batch=batch, own_core=own_core)
