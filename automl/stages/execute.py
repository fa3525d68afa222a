"""Execute: the executor of a run, and how a worker builds the state it evaluates with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from automl.config import parse_duration
from automl.core.errors import ExecutionError
from automl.execution.base import Lane
from automl.execution.resources import parse_resources
from automl.execution.trial_runner import Stage
from automl.execution.work_wrappers import Repeated
from automl.execution.work_wrappers import Retried
from automl.stages.evaluate import CandidateEvaluator
from automl.stages.evaluate import work
from automl.stages.events import silent
from automl.stages.prepare import prepare
from automl.stages.shipment import mark_folder
from automl.stages.shipment import pack
from automl.stages.shipment import sees_folder
from automl.stages.shipment import unpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from automl.config import SearchConfig
    from automl.execution.base import Executor
    from automl.stages.shipment import Shipment

__all__ = ["STAGES_ALONE", "STAGES_SHARED", "Shipped", "build_worker", "start_executor", "work_of"]

#: One worker measures quality and latency in one job: nothing else runs then.
STAGES_ALONE = (Stage("all", Lane.EXCLUSIVE),)

#: Several workers share the machine for quality; latency waits until nothing else runs.
STAGES_SHARED = (Stage("quality", Lane.SHARED), Stage("latency", Lane.EXCLUSIVE))

#: Seconds after which a candidate's evaluation counts as hung.
TIMEOUT_S = 900.0


@dataclass(frozen=True)
class Shipped:
    """How a worker on another machine comes by the workbench.

    Args:
        mark: of the run folder, by which a worker knows whether it sees the driver's.
        fetch: returns what travelled, a :class:`automl.stages.shipment.Shipment`.
    """

    mark: str
    fetch: Callable[[], Shipment]


def build_worker(
    config: SearchConfig,
    folder: Path,
    cache: Path,
    nominal_ms: float | None,
    key: tuple[str, ...],
    shipped: Shipped | None = None,
) -> CandidateEvaluator:
    """Return an evaluator in a worker process: the driver's workbench, built again.

    It is built from the run folder where the worker sees it, else from what was shipped.

    Raises:
        ExecutionError: the worker built another model or read other data than the driver.
    """
    if shipped is None or sees_folder(folder, shipped.mark):
        bench = prepare(config, folder, cache, silent, own_core=config.workers > 1)
    else:
        bench = unpack(shipped.fetch(), config)
    if bench.key != key:
        raise ExecutionError(
            f"a worker got another model or other data from '{config.model}' than the driver: make the "
            "function return the same weights on every call, or search with one worker"
        )
    return CandidateEvaluator(bench, nominal_ms=nominal_ms)


def start_executor(
    config: SearchConfig, evaluator: CandidateEvaluator, folder: Path, cache: Path
) -> tuple[Executor, tuple[Stage, ...]]:
    """Return the started executor and the jobs of one trial.

    One local worker is this process and uses ``evaluator`` itself, unless its evaluations have limits of time
    or memory; others build their own.

    Raises:
        ConfigError: more workers than the machine has processors.
        ExecutionError: the workers cannot be started.
    """
    resources = parse_resources(config.workers_resources)
    isolated = config.trial_time is not None or resources.memory_bytes is not None
    timeout_s = TIMEOUT_S if config.trial_time is None else parse_duration(config.trial_time)
    if config.executor == "local" and config.workers == 1 and not isolated:
        from automl.execution.local_executor import InlineExecutor

        inline = InlineExecutor()
        inline.start(partial(_itself, evaluator), work_of(config))
        return inline, STAGES_ALONE
    executor: Executor
    shipped = None
    if config.executor == "ray":
        from automl.execution.ray_executor import RayExecutor

        executor = RayExecutor(
            config.workers,
            config.ray_address,
            timeout_s=timeout_s,
            resources=resources,
            timing=config.timing_resource,
            on_lost=(
                "the search was ended from outside (the Ray node on this machine is gone, or the process was "
                f"killed); what it recorded is kept: go on with automl resume {folder}"
            ),
        )
        if config.ray_address is not None:
            mark = mark_folder(folder)
            shipped = Shipped(mark, executor.share(pack(evaluator.bench, cache, mark)))
    else:
        from automl.execution.local_executor import ProcessExecutor

        executor = ProcessExecutor(config.workers, timeout_s=timeout_s, memory_bytes=resources.memory_bytes)
    nominal_ms = None if evaluator.bench.roofline is not None else evaluator.meter.nominal_ms
    key = evaluator.bench.key
    build = partial(build_worker, config, folder.absolute(), cache.absolute(), nominal_ms, key, shipped)
    executor.start(build, work_of(config))
    together = config.workers == 1 and config.timing_resource is None
    return executor, STAGES_ALONE if together else STAGES_SHARED


def work_of(config: SearchConfig) -> Retried:
    """Return what a worker does with a job: measure as often as asked for, again after a passing failure.

    Quality is a function of the candidate and comes from the cache the second time; timing is averaged.
    """
    return Retried(Repeated(work, config.repeat))


def _itself(evaluator: CandidateEvaluator) -> CandidateEvaluator:
    return evaluator
