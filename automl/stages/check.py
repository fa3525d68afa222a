"""Check: what can be refused before a model is loaded or anything is measured."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

from automl.core.errors import BudgetError
from automl.core.errors import ConfigError
from automl.core.errors import MissingExtraError
from automl.core.errors import ModelError
from automl.core.errors import unknown_name
from automl.execution.pool import available_cpus
from automl.execution.pool import check_workers
from automl.execution.resources import parse_resources
from automl.ledger_storage import check_storage
from automl.models.checks import parse_input_shape
from automl.stages.folder import cache_folder
from automl.stages.prepare import SPACES
from automl.stages.prepare import allowed_options
from automl.strategies.table import strategy_class
from automl.targets.devices import find_device
from automl.targets.table import make_target

if TYPE_CHECKING:
    from automl.config import SearchConfig
    from automl.searchspaces.space import SearchSpace

__all__ = ["check_config", "check_measured", "check_sites", "check_space", "check_threads"]

#: Metrics that every candidate of every task has.
_ALWAYS = frozenset(
    {
        "latency_ms",
        "estimated_latency_ms",
        "size_bytes",
        "memory_bytes",
        "weight_bits",
        "macs",
        "bops",
        "drop",
    }
)

#: What the quality of a task adds.
_BY_TASK = {
    "image-classification": frozenset({"agreement", "kl"}),
    "causal-lm": frozenset({"perplexity", "agreement", "kl"}),
    "encoder": frozenset({"cosine"}),
    "generic": frozenset({"cosine", "psnr_db"}),
}


def check_config(config: SearchConfig) -> None:
    """Refuse names and settings that no model could make valid; loads and measures nothing.

    Raises:
        AutomlError: unknown space, option, strategy or target, an unreadable input shape, more workers or
            threads than processors, a package that is not installed, a folder of tables that cannot be
            written, or a cluster or storage that does not answer.
    """
    if config.space not in SPACES:
        raise ConfigError(unknown_name("space", config.space, SPACES))
    allowed_options(config)
    strategy_class(config.strategy)
    make_target(config.target, threads=config.threads, batch=config.batch)
    for text in config.input:
        parse_input_shape(text)
    if config.executor == "ray" and importlib.util.find_spec("ray") is None:
        raise MissingExtraError("executor 'ray' needs the package ray; run: pip install ray")
    if config.executor == "local" or config.ray_address is None:
        check_workers(config.workers, available_cpus())
    check_threads(config.threads)
    parse_resources(config.workers_resources)
    _check_cluster(config)
    _check_cache(config)
    if config.storage is not None:
        check_storage(config.storage)
    _check_estimate(config)


def _check_estimate(config: SearchConfig) -> None:
    if config.estimate is None:
        return
    find_device(config.estimate)
    for budget in config.budgets:
        if budget.metric == "memory_bytes":
            raise BudgetError(
                f"budget {budget.text}: memory is measured on this machine and says nothing of device "
                f"'{config.estimate}'; limit size or bits, or leave --estimate out"
            )


def check_threads(threads: int | None) -> None:
    """Raise ConfigError when the serving runtime is asked for more threads than there are processors."""
    limit = available_cpus()
    if threads is not None and not 1 <= threads <= limit:
        raise ConfigError(
            f"threads={threads} does not fit this machine; give a number from 1 to {limit}, its processors"
        )


def _check_cluster(config: SearchConfig) -> None:
    """Refuse a cluster that is not used, or that does not answer."""
    if config.timing_resource is not None and config.executor != "ray":
        raise ConfigError(
            f"the timing resource '{config.timing_resource}' is not used by executor '{config.executor}'; "
            "add --executor ray, or leave --timing-resource out"
        )
    if config.ray_address is None:
        return
    if config.executor != "ray":
        raise ConfigError(
            f"the cluster at '{config.ray_address}' is not used by executor '{config.executor}'; "
            "add --executor ray, or leave --ray-address out"
        )
    from automl.execution.ray_executor import probe_cluster

    probe_cluster(config.ray_address)


def _check_cache(config: SearchConfig) -> None:
    folder = cache_folder(config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
        reason = "permission denied"
    except OSError as error:
        writable, reason = False, error.strerror or str(error)
    if not writable:
        raise ConfigError(
            f"the folder of tables {folder} cannot be written ({reason}); give another one with --cache"
        )


def check_sites(sites: int, name: str) -> None:
    """Raise ModelError when a model has no layer whose precision could be chosen."""
    if sites == 0:
        raise ModelError(
            f"model '{name}' has no convolution, matrix or embedding layer with weights, so there is nothing "
            "to search; give a model that has one"
        )


def check_space(space: SearchSpace, name: str) -> None:
    """Raise ConfigError when the options that are left allow the untouched model alone."""
    if space.log10_size == 0:
        raise ConfigError(
            f"the options that are allowed and legal on this target leave nothing to choose for '{name}'; "
            "allow others with --option, or choose another --target"
        )


def check_measured(config: SearchConfig, task: str, labelled: bool) -> None:
    """Raise BudgetError when a budget limits something that is not measured for this task and data."""
    measured = _ALWAYS | _BY_TASK[task]
    if task == "image-classification" and labelled:
        measured |= {"accuracy"}
    for budget in config.budgets:
        if budget.metric in measured:
            continue
        if budget.metric == "accuracy" and task == "image-classification":
            raise BudgetError(
                f"budget {budget.text}: accuracy needs labels and the data has none; give labelled data, or "
                "limit agreement or drop"
            )
        raise BudgetError(
            f"budget {budget.text}: {budget.metric} is not measured for this model ({task}); "
            f"limit one of: {', '.join(sorted(measured))}"
        )
