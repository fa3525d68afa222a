"""The table of strategies: name -> summary and class; only a requested one is imported."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from automl.core.errors import StrategyError
from automl.core.errors import unknown_name
from automl.strategies.base import Strategy
from automl.strategies.base import StrategyInfo
from automl.strategies.middleware import checked

if TYPE_CHECKING:
    from collections.abc import Callable

    from automl.strategies.base import Problem

__all__ = [
    "ENTRY_POINT_GROUP",
    "STRATEGIES",
    "StrategyRow",
    "list_strategies",
    "make_strategy",
    "strategy_class",
]

#: Third parties register ``name = "package.module:Class"`` in this entry-point group.
ENTRY_POINT_GROUP = "automl.strategies"


@dataclass(frozen=True)
class StrategyRow:
    """One row of the table.

    Args:
        path: ``package.module:Class``.
        summary: one line; the same as the class's own ``info.summary``.
        aliases: other names that ``--strategy`` takes for it.
    """

    path: str
    summary: str
    aliases: tuple[str, ...] = ()


_OPTUNA = "automl.strategies.optuna_sampler:OptunaSampler"

STRATEGIES: dict[str, StrategyRow] = {
    "random": StrategyRow(
        "automl.strategies.random_search:RandomSearch",
        "uniform random candidates without repetition; the baseline",
    ),
    "exact": StrategyRow(
        "automl.strategies.exact:Exact",
        "proven optimum of the additive prices at the budgets, then the front around it",
    ),
    "evolutionary": StrategyRow(
        "automl.strategies.evolutionary:Evolutionary",
        "NSGA-II on true evaluations, steady state, seeded by the problem's seeds",
    ),
    "nsga3": StrategyRow(
        "automl.strategies.nsga3:Nsga3",
        "NSGA-III: evolution with survivors spread along reference directions, for 3+ objectives",
    ),
    "aging": StrategyRow(
        "automl.strategies.aging:Aging",
        "regularized evolution: tournament, one mutation, the oldest dies",
    ),
    "exhaustive": StrategyRow(
        "automl.strategies.exhaustive:Exhaustive",
        "every member of a space of at most a million, in a fixed order",
        aliases=("grid",),
    ),
    "local": StrategyRow(
        "automl.strategies.local_search:LocalSearch",
        "steepest descent over neighbours, then trades of two decisions, restarted from the front",
    ),
    "levelswap": StrategyRow(
        "automl.strategies.levelswap:LevelSwap",
        "(1+lambda) evolution by swaps of levels that keep the budget spent",
    ),
    "controller": StrategyRow(
        "automl.strategies.controller:Controller",
        "a recurrent policy decides option after option, trained by PPO on a budget-aware reward",
    ),
    "reinforce": StrategyRow(
        "automl.strategies.controller:Reinforce",
        "the controller's policy trained by REINFORCE with a moving baseline",
    ),
    "reinforced": StrategyRow(
        "automl.strategies.reinforced:Reinforced",
        "NSGA-II whose mutation is shared between chance, a trained policy and a roulette of prices",
    ),
    "ddpg": StrategyRow(
        "automl.strategies.ddpg:Ddpg",
        "HAQ's layer-by-layer agent: an actor sets levels, a wall of prices keeps the budget",
    ),
    "surrogate": StrategyRow(
        "automl.strategies.surrogate:Surrogate",
        "evolution screened by prices plus a learned residual, used only while it predicts better",
    ),
    "portfolio": StrategyRow(
        "automl.strategies.portfolio:Portfolio",
        "several strategies race on one history; shares follow hypervolume gained per second",
    ),
    "differentiable": StrategyRow(
        "automl.strategies.differentiable:Differentiable",
        "decisions relaxed to shares and trained by gradient under a budget term that converges",
    ),
    "halving": StrategyRow(
        "automl.strategies.halving:Halving",
        "evolutionary on a subset of the samples, the best third on all; halving:NAME wraps another",
    ),
    "optuna:tpe": StrategyRow(_OPTUNA, "Optuna's TPESampler"),
    "optuna:gp": StrategyRow(
        _OPTUNA, "Optuna's GPSampler; half a second a proposal at 10 dimensions, 6 at 200, 25 at 500"
    ),
    "optuna:nsgaii": StrategyRow(_OPTUNA, "Optuna's NSGAIISampler"),
    "optuna:nsgaiii": StrategyRow(_OPTUNA, "Optuna's NSGAIIISampler"),
    "optuna:cmaes": StrategyRow(
        _OPTUNA, "Optuna's CmaEsSampler; minimizes the first objective under the hard budgets"
    ),
    "optuna:qmc": StrategyRow(_OPTUNA, "Optuna's QMCSampler"),
    "optuna:random": StrategyRow(_OPTUNA, "Optuna's RandomSampler"),
}


def _aliases() -> dict[str, str]:
    return {alias: name for name, row in STRATEGIES.items() for alias in row.aliases}


def _plug_ins() -> dict[str, EntryPoint]:
    taken = {*STRATEGIES, *_aliases()}
    return {e.name: e for e in entry_points(group=ENTRY_POINT_GROUP) if e.name not in taken}


def list_strategies() -> dict[str, str]:
    """Return name -> summary of every strategy, built in and installed, without importing any."""
    listed = {name: row.summary for name, row in STRATEGIES.items()}
    for name, entry in sorted(_plug_ins().items()):
        owner = entry.dist.name if entry.dist is not None else entry.module
        listed[name] = f"plug-in from {owner}"
    return listed


def _path(name: str) -> str:
    """Return ``package.module:Class`` of ``name``; of its family where it is ``family:variant``.

    Raises:
        StrategyError: no strategy has that name.
    """
    plug_ins = _plug_ins()
    if name in STRATEGIES:
        return STRATEGIES[name].path
    if name in plug_ins:
        return plug_ins[name].value
    family, _, variant = name.partition(":")
    paths = [row.path for known, row in STRATEGIES.items() if known.partition(":")[0] == family]
    if variant and paths:
        return paths[0]
    raise StrategyError(unknown_name("strategy", name, [*STRATEGIES, *_aliases(), *plug_ins]))


def strategy_class(name: str) -> type[Strategy]:
    """Return the class called ``name``.

    A class with a ``variant`` class method stands for a family: of ``family:variant`` it returns the member.

    Raises:
        StrategyError: no strategy has that name, or a plug-in's path does not lead to a strategy.
    """
    name = _aliases().get(name, name)
    path = _path(name)
    module, _, attribute = path.partition(":")
    try:
        found: type[Strategy] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise StrategyError(
            f"strategy '{name}' at {path} cannot be imported: {error}; repair or remove the plug-in"
        ) from error
    if not isinstance(getattr(found, "info", None), StrategyInfo):
        raise StrategyError(
            f"strategy '{name}' at {path} has no StrategyInfo in 'info'; see automl.strategies.base.Strategy"
        )
    family, _, variant = name.partition(":")
    if not variant:
        return found
    member: Callable[[str], type[Strategy]] | None = getattr(found, "variant", None)
    if member is None:
        raise StrategyError(
            f"strategy '{family}' has no variants such as '{variant}'; use --strategy {family}"
        )
    return member(variant)


def make_strategy(name: str, problem: Problem) -> Strategy:
    """Return a new strategy for ``problem``; a plug-in's proposals are checked against the space.

    Raises:
        StrategyError: unknown name, or the strategy needs prices that the problem does not have.
    """
    found = strategy_class(name)
    if found.info.needs_tables and problem.tables is None:
        raise StrategyError(
            f"strategy '{name}' needs additive prices (sensitivity and latency tables) and the problem has "
            "none; price the options first or use --strategy evolutionary"
        )
    strategy = found(problem)
    return checked(strategy, problem) if name in _plug_ins() else strategy
