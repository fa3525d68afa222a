"""The sweep of the API: many searches as one, each a run of its own; wires stages like the search does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from automl.api import open_run
from automl.api import run_config
from automl.core.errors import ConfigError
from automl.core.errors import LedgerError
from automl.core.errors import unknown_name
from automl.stages.events import Progressed
from automl.stages.events import silent
from automl.stages.secret_storage import kept_storage
from automl.stages.sweep import CELLS
from automl.stages.sweep import SWEEP_FILE
from automl.stages.sweep import check_sweep
from automl.stages.sweep import is_sweep
from automl.stages.sweep import open_sweep_folder
from automl.stages.sweep import run_cells
from automl.stages.sweep_estimate import estimate_cells
from automl.stages.sweep_report import sweep_report
from automl.stages.sweep_report import write_sweep_report
from automl.sweep_config import make_sweep
from automl.sweep_config import read_sweep

if TYPE_CHECKING:
    import pandas as pd

    from automl.api_result import SearchResult
    from automl.artifact.sweep_data import CellRow
    from automl.artifact.sweep_data import SweepReport
    from automl.config import SearchConfig
    from automl.stages.answer import Answer
    from automl.stages.events import Listener
    from automl.stages.sweep_estimate import CellEstimate
    from automl.sweep_config import SweepConfig

__all__ = ["SweepResult", "estimate_sweep", "load_sweep", "open_sweep", "resume_sweep", "run_sweep", "sweep"]


@dataclass(frozen=True)
class SweepResult:
    """What a sweep found.

    Args:
        folder: the sweep's folder; ``cells`` in it holds one run folder a cell.
        comparison: rows of the cells and strategies compared over seeds.
    """

    folder: Path
    comparison: SweepReport

    @property
    def cells(self) -> tuple[CellRow, ...]:
        """One row a cell, in the order they run."""
        return self.comparison.rows

    @property
    def failed(self) -> tuple[CellRow, ...]:
        """The cells that failed, with their reasons."""
        return tuple(row for row in self.cells if row.state == "failed")

    @property
    def interrupted(self) -> bool:
        """Whether cells are left to run."""
        return any(row.state in {"interrupted", "pending"} for row in self.cells)

    def result(self, name: str) -> SearchResult:
        """Return the result of one cell by its name, or by a beginning that no other cell has.

        Raises:
            LedgerError: there is no such cell, or it is not finished.
        """
        names = [row.name for row in self.cells if row.name.startswith(name)]
        if len(names) != 1:
            raise LedgerError(unknown_name("cell", name, [row.name for row in self.cells]))
        return open_run(self.folder / CELLS / names[0])

    def to_frame(self) -> pd.DataFrame:
        """Return one row a cell.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            from automl.core.errors import MissingExtraError

            raise MissingExtraError("to_frame needs pandas; run: pip install pandas") from error
        kept = [
            {k: v for k, v in asdict(row).items() if k not in {"front", "best", "link"}}
            | {
                "quality": None if row.best is None else row.best.quality,
                "latency_ratio": None if row.best is None else row.best.latency_ratio,
                "front": len(row.front),
            }
            for row in self.cells
        ]
        return pd.DataFrame(kept).set_index("name")

    def report(self, path: Path | str) -> Path:
        """Write the HTML report to ``path`` and return it."""
        return write_sweep_report(read_sweep(self.folder / SWEEP_FILE), self.folder, Path(path))


def sweep(
    settings: Mapping[str, Any] | Path | str,
    *,
    run: Path | str | None = None,
    ray_address: str | None = None,
    listener: Listener = silent,
) -> SweepResult:
    """Search every combination of models, targets, budgets, strategies and seeds, and compare.

    The cells run one after another, because latency needs the machine to itself; what they have in common is
    measured once. A cell that fails is recorded with its reason. The same call continues a sweep.

    Args:
        settings: a YAML file, or its content: the lists ``models``, ``targets``, ``budgets``, ``strategies``
            and ``seeds``, and any other setting of a search for all cells.
        run: the sweep's folder; ``runs/NAME`` when None.
        ray_address: evaluate on this Ray cluster.
        listener: told what happens.

    Raises:
        AutomlError: the settings cannot be used; the text names the key.
    """
    return run_sweep(load_sweep(settings, ray_address=ray_address), run=run, listener=listener)


def load_sweep(
    settings: Mapping[str, Any] | Path | str,
    *,
    ray_address: str | None = None,
    workers: int | None = None,
    storage: str | None = None,
) -> SweepConfig:
    """Return the validated sweep, with what the caller gives in place of what the settings say.

    Raises:
        ConfigError: a key is refused; the text names it.
    """
    given: dict[str, Any] = {} if workers is None else {"workers": workers}
    if storage is not None:
        given["storage"] = storage
    if ray_address is not None:
        given |= {"executor": "ray", "ray_address": ray_address}
    found = make_sweep(settings) if isinstance(settings, Mapping) else read_sweep(Path(settings))
    return make_sweep({**_content(found), **given}) if given else found


def _content(found: SweepConfig) -> dict[str, Any]:
    axes = {name: list(getattr(found, name)) for name in ("targets", "budgets", "strategies", "seeds")}
    models = [dict(model) for model in found.models]
    return {"name": found.name, "models": models, **axes, **found.shared}


def run_sweep(
    wanted: SweepConfig, *, run: Path | str | None = None, listener: Listener = silent
) -> SweepResult:
    """Run, or continue, a sweep.

    Raises:
        AutomlError: the sweep cannot be used, its folder belongs to another, or another process runs it.
    """
    folder = Path(run) if run is not None else Path("runs") / wanted.name
    check_sweep(wanted)
    open_sweep_folder(wanted, folder)
    listener(Progressed("sweep", text=f"sweep of {len(wanted.cells())} cells in {folder}"))
    try:
        run_cells(wanted, folder, _search_cell, listener)
    finally:
        write_sweep_report(wanted, folder)
    return open_sweep(folder)


def _search_cell(config: SearchConfig, folder: Path, listener: Listener) -> Answer:
    return run_config(config, run=folder, listener=listener).answer


def resume_sweep(folder: Path, *, workers: int | None = None, listener: Listener = silent) -> SweepResult:
    """Continue a sweep by its folder: cells that are done stay, the others go on or start.

    Raises:
        AutomlError: the folder is no sweep's, or it cannot go on.
    """
    wanted = load_sweep(_stored(folder), workers=workers, storage=kept_storage(folder))
    return run_sweep(wanted, run=folder, listener=listener)


def open_sweep(folder: Path | str) -> SweepResult:
    """Return what a sweep found so far.

    Raises:
        ConfigError: the folder is no sweep's.
        LedgerError: its record is damaged.
    """
    folder = Path(folder)
    return SweepResult(folder, sweep_report(read_sweep(_stored(folder)), folder))


def _stored(folder: Path) -> Path:
    if not is_sweep(folder):
        raise ConfigError(
            f"{folder} is no sweep's folder (no {SWEEP_FILE}); give the one that automl sweep made"
        )
    return folder / SWEEP_FILE


def estimate_sweep(wanted: SweepConfig) -> tuple[CellEstimate, ...]:
    """Return how long each cell will take; loads and times every model, keeps nothing but the cache.

    Raises:
        AutomlError: the sweep cannot be used.
    """
    check_sweep(wanted)
    return estimate_cells(wanted.cells())
