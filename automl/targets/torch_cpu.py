"""torch on CPUs with the package's own kernels: oneDNN int8, packed weight-only products, bfloat16."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.targets.kernel_sites import cpu_strike
from automl.targets.program_target import ProgramTarget

if TYPE_CHECKING:
    from automl.searchspaces.graph import Site

__all__ = ["TorchTarget"]


class TorchTarget(ProgramTarget):
    """torch on the CPU in a worker process.

    Args:
        threads: threads within an operator, every core when None.
        batch: samples of one timed run.
        own_core: keep the worker process to a core of its own, for one thread.

    Raises:
        ConfigError: threads or batch are not positive.
    """

    def __init__(self, threads: int | None = None, batch: int = 1, own_core: bool = False) -> None:
        super().__init__(
            "torch", device="cpu", preference="auto", threads=threads, batch=batch, own_core=own_core
        )

    def strike(self, site: Site, option: str) -> str | None:
        """Return why no kernel of this CPU should serve ``option`` at ``site``, or None."""
        return cpu_strike(site, option, self.batch)
