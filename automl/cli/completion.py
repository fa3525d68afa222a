"""What the shell offers as the value of an option; each table is imported when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import get_args

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["devices", "efforts", "executors", "formats", "options", "strategies", "targets"]


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def targets(incomplete: str) -> list[str]:
    """Return the targets that begin like this."""
    from automl.targets.table import TARGETS

    return _starting(TARGETS, incomplete)


def devices(incomplete: str) -> list[str]:
    """Return the devices that a roofline prices and that begin like this."""
    from automl.targets.devices import DEVICES

    return _starting(["cpu", *DEVICES], incomplete)


def strategies(incomplete: str) -> list[str]:
    """Return the strategies that begin like this."""
    from automl.strategies.table import list_strategies

    return _starting(list_strategies(), incomplete)


def options(incomplete: str) -> list[str]:
    """Return the precision options that begin like this."""
    from automl.transforms.precision import PRECISIONS

    return _starting(PRECISIONS, incomplete)


def efforts(incomplete: str) -> list[str]:
    """Return the effort profiles that begin like this."""
    from automl.config import EFFORTS

    return _starting(EFFORTS, incomplete)


def executors(incomplete: str) -> list[str]:
    """Return the executors that begin like this."""
    from automl.config import SearchConfig

    return _starting(get_args(SearchConfig.model_fields["executor"].annotation), incomplete)


def formats(incomplete: str) -> list[str]:
    """Return the export formats that begin like this."""
    from automl.api_result import EXPORT_FORMATS

    return _starting(EXPORT_FORMATS, incomplete)
