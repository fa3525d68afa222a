"""torch on CPUs with the package's own kernels: oneDNN int8, packed weight-only products, bfloat16."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from automl.targets.deployable import Deployable
from automl.targets.fingerprint import cpu_facts
from automl.targets.fingerprint import saturates
from automl.targets.kernel_sites import cpu_strike
from automl.targets.kernel_sites import served_sites
from automl.targets.legality import cpu_legality
from automl.targets.runtime_target import RuntimeTarget
from automl.transforms.plan import QuantizationRules

if TYPE_CHECKING:
    from automl.searchspaces.graph import ModelGraph
    from automl.searchspaces.graph import Site
    from automl.searchspaces.graph import TracedModel
    from automl.targets.base import Legality
    from automl.targets.onnx_export import BaseOnnx
    from automl.transforms.plan import QuantizationPlan

__all__ = ["PROGRAM_RULES", "TorchTarget"]

#: Matrix layers read codes; nothing else does, and a code goes no further than to its layer.
PROGRAM_RULES = QuantizationRules(joins=(), reductions=(), passthrough=())


class TorchTarget(RuntimeTarget):
    """torch on the CPU in a worker process.

    Args:
        threads: threads within an operator, every core when None.
        batch: samples of one timed run.

    Raises:
        ConfigError: threads or batch are not positive.
    """

    suffix = ".safetensors"

    def __init__(self, threads: int | None = None, batch: int = 1) -> None:
        rules = replace(PROGRAM_RULES, saturating=saturates(cpu_facts()["flags"], None))
        super().__init__("torch", "torch", rules, threads=threads, batch=batch)
        self._types: tuple[TracedModel, dict[str, tuple[str, int]]] | None = None

    def legality(self, graph: ModelGraph) -> Legality:
        """Return which options a kernel of this CPU serves at which site, with reasons for the others."""

        def strike(site: Site, option: str) -> str | None:
            return cpu_strike(site, option, self.batch)

        return cpu_legality(graph, self.info().float_types, strike)

    def deployable(self, traced: TracedModel, base: BaseOnnx, plan: QuantizationPlan) -> Deployable:
        """Return the candidate as a torch program."""
        from automl.targets.torch_program import value_types
        from automl.targets.torch_program import write_program

        if self._types is None or self._types[0] is not traced:
            self._types = traced, value_types(traced)
        served = served_sites(traced.graph, plan, self.batch, device="cpu")
        return Deployable(write_program(traced, plan, self._types[1]), served=served)

    def idle_file(self) -> tuple[str, bytes]:
        """Return suffix and content of the tiny model that is served before memory is counted."""
        from automl.targets.torch_program import idle_program

        return self.suffix, idle_program()
