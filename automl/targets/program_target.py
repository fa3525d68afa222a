"""What the targets share that serve torch programs on the package's kernels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from automl.targets.deployable import Deployable
from automl.targets.fingerprint import cpu_facts
from automl.targets.fingerprint import saturates
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

__all__ = ["CPU_PROGRAM_RULES", "PROGRAM_RULES", "ProgramTarget"]

#: Layers read codes; nothing else does, and a code goes no further than to its layer.
PROGRAM_RULES = QuantizationRules(joins=(), reductions=(), passthrough=())

#: The CPU's convolutions add codes, and its maximum is taken of codes.
CPU_PROGRAM_RULES = replace(PROGRAM_RULES, residuals=True, passthrough=("max_pool",))


class ProgramTarget(RuntimeTarget):
    """A target of torch programs in a worker process.

    Args:
        name: the target's name, and that of the worker's backend.
        device: torch device type of the tensors.
        preference: implementation of the kernels, see ``automl.kernels.dispatch``.
        threads: threads within an operator, every core when None.
        batch: samples of one timed run.
        own_core: keep the worker process to a core of its own, for one thread.

    Raises:
        ConfigError: threads or batch are not positive.
    """

    suffix = ".safetensors"

    def __init__(
        self,
        name: str,
        *,
        device: str,
        preference: str,
        threads: int | None = None,
        batch: int = 1,
        own_core: bool = False,
    ) -> None:
        narrow = device == "cpu" and saturates(cpu_facts()["flags"], None)
        rules = CPU_PROGRAM_RULES if preference == "auto" else PROGRAM_RULES
        rules = replace(rules, saturating=narrow)
        super().__init__(name, name, rules, threads=threads, batch=batch, own_core=own_core)
        self._device, self._preference = device, preference
        self._types: tuple[TracedModel, dict[str, tuple[str, int]]] | None = None

    def strike(self, site: Site, option: str) -> str | None:
        """Return why no kernel serves ``option`` at ``site``, or None."""
        raise NotImplementedError

    def legality(self, graph: ModelGraph) -> Legality:
        """Return which options a kernel serves at which site, with reasons for the others."""
        return cpu_legality(graph, self.info().float_types, self.strike)

    def deployable(self, traced: TracedModel, base: BaseOnnx, plan: QuantizationPlan) -> Deployable:
        """Return the candidate as a torch program."""
        from automl.targets.torch_program import value_types
        from automl.targets.torch_program import write_program

        if self._types is None or self._types[0] is not traced:
            self._types = traced, value_types(traced)
        served = served_sites(
            traced.graph, plan, self.strike, device=self._device, preference=self._preference
        )
        return Deployable(write_program(traced, plan, self._types[1]), served=served)

    def idle_file(self) -> tuple[str, bytes]:
        """Return suffix and content of the tiny model that is served before memory is counted."""
        from automl.targets.torch_program import idle_program

        return self.suffix, idle_program()
