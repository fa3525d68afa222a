"""Every error the product raises on purpose.

A message is one sentence in four parts: what happened, with which value, what is allowed, what to do.
Classes also inherit the builtin they refine, so callers may catch either.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ArtifactError",
    "AutomlError",
    "BudgetError",
    "ConfigError",
    "DataError",
    "EvaluationError",
    "ExecutionError",
    "KernelError",
    "LedgerError",
    "MissingExtraError",
    "ModelError",
    "SpaceError",
    "StrategyError",
    "TargetError",
    "did_you_mean",
    "unknown_name",
]


class AutomlError(Exception):
    """Base of all deliberate errors; the command line prints its text alone and exits with code 2."""


class ConfigError(AutomlError, ValueError):
    """A setting is unknown, out of range or contradicts another one."""


class BudgetError(ConfigError):
    """A budget cannot be parsed, is not positive, or contradicts another budget."""


class ModelError(AutomlError, ValueError):
    """A model cannot be loaded, traced, or gives unusable outputs."""


class DataError(AutomlError, ValueError):
    """Data is missing, empty, corrupt, or does not fit the model."""


class SpaceError(AutomlError, ValueError):
    """A dimension, option or candidate does not belong to the search space."""


class StrategyError(AutomlError, ValueError):
    """A strategy cannot serve the space, the objectives or the saved state."""


class TargetError(AutomlError, RuntimeError):
    """A target cannot serve this machine or model."""


class KernelError(AutomlError, ValueError):
    """A kernel cannot serve these tensors, this device or this configuration."""


class EvaluationError(AutomlError, RuntimeError):
    """One candidate could not be measured; becomes a failed trial with this text as the reason."""


class ExecutionError(AutomlError, RuntimeError):
    """The executor cannot be started, or a worker was lost."""


class LedgerError(AutomlError, RuntimeError):
    """The record of trials is damaged, locked by another run, or belongs to another configuration."""


class ArtifactError(AutomlError, RuntimeError):
    """An artifact folder is incomplete, changed, or of an unknown version."""


class MissingExtraError(AutomlError, ImportError):
    """An optional package is not installed; the text gives the command that installs it."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known name, or an empty string when none is near.

    A name that continues ``name`` is nearer than one that resembles it.
    """
    folded: dict[str, str] = {}
    for candidate in known:
        folded.setdefault(candidate.casefold(), candidate)
    wanted = name.casefold()
    longer = sorted((c for c in folded if len(wanted) > 2 and c.startswith(wanted)), key=len)
    near = longer or difflib.get_close_matches(wanted, list(folded), n=1, cutoff=0.5)
    return f"; did you mean '{folded[near[0]]}'?" if near else ""


def unknown_name(what: str, name: str, known: Iterable[str]) -> str:
    """Return the sentence for an unknown name: the value, the nearest one, and all that are allowed."""
    names = sorted(known)
    return f"unknown {what} '{name}'{did_you_mean(name, names) or ';'} choose one of: {', '.join(names)}"
