"""How long a sweep will take: the first steps of each model are timed, tables count for one cell alone."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from automl.core.errors import AutomlError
from automl.stages.estimate import measure_amounts
from automl.stages.estimate import measure_paces
from automl.stages.estimate_math import estimate
from automl.stages.evaluate import CandidateEvaluator
from automl.stages.events import silent
from automl.stages.folder import cache_folder
from automl.stages.prepare import prepare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automl.config import SearchConfig
    from automl.stages.estimate_math import Amounts
    from automl.stages.estimate_math import Paces
    from automl.sweep_config import SweepCell

__all__ = ["CellEstimate", "estimate_cells"]


@dataclass(frozen=True)
class CellEstimate:
    """How long one cell will take.

    Args:
        cell: the cell.
        seconds: by phase; empty when it cannot be estimated.
        reason: why it cannot be, or empty.
    """

    cell: SweepCell
    seconds: Mapping[str, float]
    reason: str = ""

    @property
    def total(self) -> float:
        """Seconds of all phases."""
        return sum(self.seconds.values())


def estimate_cells(cells: tuple[SweepCell, ...]) -> tuple[CellEstimate, ...]:
    """Return an estimate of each cell; loads and times every model once a target and data seed.

    Cells that need the same tables count them once, for the first of them; a time limit caps a cell.
    """
    measured: dict[str, tuple[Amounts, Paces] | str] = {}
    found = []
    for cell in cells:
        known = measured.get(_tables(cell.config))
        if known is None:
            measured[_tables(cell.config)] = known = _measure(cell.config)
            shared = False
        else:
            shared = True
        if isinstance(known, str):
            found.append(CellEstimate(cell, {}, known))
            continue
        amounts, paces = known
        if shared:
            amounts = replace(amounts, roundings=0.0, passes=0.0, designs=0)
        seconds = estimate(amounts, paces)
        limit, total = cell.config.seconds, sum(seconds.values())
        if limit is not None and total > limit:
            seconds = {phase: value * limit / total for phase, value in seconds.items()}
        found.append(CellEstimate(cell, seconds))
    return tuple(found)


def _tables(config: SearchConfig) -> str:
    """Return what decides the tables of a search; the budgets do by the options that they let in.

    The seed does only where it is also the one that samples are drawn with.
    """
    low_bits = any(b.metric in {"size_bytes", "weight_bits", "memory_bytes"} for b in config.budgets)
    same = {"budget": (), "strategy": "", "seed": 0, "data_seed": config.drawn_seed}
    return f"{config.model_copy(update=same).to_yaml()}{low_bits}"


def _measure(config: SearchConfig) -> tuple[Amounts, Paces] | str:
    """Return what a search has to do and how fast it goes, or why that cannot be found out."""
    with tempfile.TemporaryDirectory() as place:
        try:
            bench = prepare(config, Path(place), cache_folder(config), silent)
        except (AutomlError, OSError) as error:
            return " ".join(str(error).split())
        try:
            evaluator = CandidateEvaluator(bench)
            return measure_amounts(evaluator), measure_paces(evaluator)
        except (AutomlError, OSError) as error:
            return " ".join(str(error).split())
        finally:
            bench.target.close()
            bench.quality_target.close()
