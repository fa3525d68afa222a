"""Search-based AutoML compression: measured Pareto fronts of deployable models.

Importing this package imports none of torch, ray, optuna, triton or typer; names load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from automl.api import load as load
    from automl.api import search as search
    from automl.api_sweep import sweep as sweep
    from automl.config import SearchConfig as SearchConfig
    from automl.core.candidate import Candidate as Candidate
    from automl.core.errors import AutomlError as AutomlError
    from automl.core.samples import Samples as Samples

__version__ = "0.1.0"

_EXPORTS = {
    "AutomlError": "automl.core.errors",
    "Candidate": "automl.core.candidate",
    "Samples": "automl.core.samples",
    "SearchConfig": "automl.config",
    "load": "automl.api",
    "search": "automl.api",
    "sweep": "automl.api_sweep",
}

__all__ = ["AutomlError", "Candidate", "Samples", "SearchConfig", "__version__", "load", "search", "sweep"]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'automl' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
