"""OpenVINO on CPUs, the default target there."""

from __future__ import annotations

from dataclasses import replace

from automl.core.errors import TargetError
from automl.core.errors import unknown_name
from automl.targets.fingerprint import cpu_facts
from automl.targets.fingerprint import saturates
from automl.targets.runtime_target import RuntimeTarget
from automl.transforms.plan import QuantizationRules

__all__ = ["ISAS", "OPENVINO_RULES", "OpenVinoTarget"]

#: Instruction-set caps that oneDNN obeys, so that one machine stands for older ones.
ISAS = (
    "avx2",
    "avx2_vnni",
    "avx512_core",
    "avx512_core_vnni",
    "avx512_core_bf16",
    "avx512_core_fp16",
    "avx512_core_amx",
)

#: Residual adds run fused into the int8 convolution when both operands are quantized; pooling and reductions
#: in int8 when their input is; padding disappears into the convolution only when the quantizer is above it.
OPENVINO_RULES = QuantizationRules(
    joins=("add", "concat"),
    reductions=("mean", "avg_pool"),
    passthrough=("max_pool", "reshape", "flatten", "transpose", "pad"),
)


class OpenVinoTarget(RuntimeTarget):
    """The CPU device of OpenVINO in a worker process.

    Args:
        isa: cap of the instruction set (oneDNN's names in lower case), None for all the processor has.
        threads: inference threads, every core when None.
        batch: samples of one timed run.
        own_core: keep the worker process to a core of its own, for one thread.

    Raises:
        TargetError: the cap is unknown.
        ConfigError: threads or batch are not positive.
    """

    def __init__(
        self, isa: str | None = None, threads: int | None = None, batch: int = 1, own_core: bool = False
    ) -> None:
        if isa is not None and isa not in ISAS:
            raise TargetError(unknown_name("instruction set", isa, ISAS))
        super().__init__(
            "openvino" if isa is None else f"openvino:isa={isa}",
            "openvino",
            replace(OPENVINO_RULES, saturating=saturates(cpu_facts()["flags"], isa)),
            isa=isa,
            environment={} if isa is None else {"ONEDNN_MAX_CPU_ISA": isa.upper()},
            threads=threads,
            batch=batch,
            own_core=own_core,
        )
