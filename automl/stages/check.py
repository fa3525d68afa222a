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
from automl.models.checks import parse_input_shape
from automl.stages.folder import cache_folder
from automl.stages.prepare import SPACES
from automl.stages.prepare import allowed_options
from automl.strategies.table import strategy_class
from automl.targets.table import make_target

if TYPE_CHECKING:
    from automl.config import SearchConfig

__all__ = ["check_config", "check_measured", "check_sites"]

#: Metrics that every candidate of every task has.
_ALWAYS = frozenset({"latency_ms", "size_bytes", "memory_bytes", "weight_bits", "macs", "bops", "drop"})

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
        AutomlError: unknown space, option, strategy or target, an unreadable input shape, more workers than
            processors, a package that is not installed, or a folder of tables that cannot be written.
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
    _check_cache(config)


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
