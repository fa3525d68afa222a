"""GPUs with the package's Triton kernels; without one, the interpreter, for correctness alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from automl.core.errors import TargetError
from automl.targets.kernel_sites import triton_strike
from automl.targets.program_target import ProgramTarget
from automl.targets.timing import summarize
from automl.targets.triton_device import interpreted
from automl.targets.triton_device import triton_device

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from automl.searchspaces.graph import Site
    from automl.targets.base import Footprint
    from automl.targets.base import NodeProfile
    from automl.targets.base import Timing

    Arrays = Sequence[NDArray[np.generic]]

__all__ = ["TritonTarget"]


class TritonTarget(ProgramTarget):
    """Triton's kernels in a worker process, on the CUDA or ROCm device.

    With ``TRITON_INTERPRET=1`` it predicts on the CPU through the interpreter and measures nothing.

    Args:
        threads: threads of the host, every core when None.
        batch: samples of one timed run.
        own_core: keep the worker process to a core of its own, for one thread.

    Raises:
        TargetError: there is no GPU, and the interpreter is not asked for.
        ConfigError: threads or batch are not positive.
    """

    def __init__(self, threads: int | None = None, batch: int = 1, own_core: bool = False) -> None:
        super().__init__(
            "triton",
            device=triton_device(),
            preference="triton",
            threads=threads,
            batch=batch,
            own_core=own_core,
        )

    def strike(self, site: Site, option: str) -> str | None:
        """Return why no Triton kernel serves ``option`` at ``site``, or None."""
        return triton_strike(site, option)

    def time(self, models: Sequence[tuple[Path, str]], inputs: Arrays, *, repeats: int) -> list[Timing]:
        """Time (file, float type) pairs in turns by events, see :mod:`automl.kernels.device_timing`.

        Raises:
            TargetError: the kernels run in the interpreter.
            EvaluationError: a model fails or there is nothing to repeat.
        """
        _refuse_interpreter("time")
        samples, how = self._timed(models, inputs, repeats)
        return [replace(summarize(s), how=h) for s, h in zip(samples, how, strict=True)]

    def run_times(
        self, models: Sequence[tuple[Path, str]], inputs: Arrays, *, repeats: int
    ) -> list[list[float]]:
        """Return the single run times in ms, see :class:`RuntimeTarget`.

        Raises:
            TargetError: the kernels run in the interpreter.
            EvaluationError: a model fails or there is nothing to repeat.
        """
        _refuse_interpreter("time")
        return super().run_times(models, inputs, repeats=repeats)

    def profile(self, model: Path, inputs: Arrays, *, float_type: str, repeats: int) -> list[NodeProfile]:
        """Return executed nodes with mean times, see :class:`RuntimeTarget`.

        Raises:
            TargetError: the kernels run in the interpreter.
            EvaluationError: the model fails.
        """
        _refuse_interpreter("time")
        return super().profile(model, inputs, float_type=float_type, repeats=repeats)

    def memory(self, model: Path, inputs: Arrays, *, float_type: str, processes: int) -> list[Footprint]:
        """Refuse: resident memory of the host says nothing about what a GPU holds.

        Raises:
            TargetError: always.
        """
        raise TargetError(
            "target 'triton' measures no memory: the resident set of the host is not what the device holds; "
            "leave the memory budget out, or use --target torch"
        )


def _refuse_interpreter(what: str) -> None:
    if interpreted():
        raise TargetError(
            f"target 'triton' runs in Triton's interpreter (TRITON_INTERPRET=1) and reports no {what} there; "
            "unset it on a machine with a GPU, or use --target torch"
        )
