"""What a worker needs where it does not see the driver's folders: the base graph, calibration and data.

Files travel as their bytes, in the forms in which the cache holds them; the module comes back out of the
exported program, so the model's own code and weights need not be on the node.
"""

from __future__ import annotations

import tempfile
import uuid
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from automl.models.exported import load_exported
from automl.stages.events import silent
from automl.stages.prefilter import STRUCK_FILE
from automl.stages.prepare import build_workbench
from automl.stages.prepare import calibration_file
from automl.stages.traced import PROGRAM_FILE
from automl.stages.traced import store_traced
from automl.stages.traced import traced_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from automl.config import SearchConfig
    from automl.data.loading import DataSplits
    from automl.models.loaded import LoadedModel
    from automl.stages.prepare import Workbench

__all__ = ["Shipment", "mark_folder", "pack", "sees_folder", "unpack"]

_MARK = "seen_by_workers"


@dataclass(frozen=True, eq=False)
class Shipment:
    """A workbench in a form that travels.

    Args:
        name: of the folder on the node; workers of one run share it.
        model: without module and example inputs' graph; the module is in the program's file.
        data: calibration and evaluation samples.
        cached: bytes of the files of the cache, by path inside it.
        own: bytes of the files of the run folder, by path inside it.
    """

    name: str
    model: LoadedModel
    data: DataSplits
    cached: Mapping[str, bytes]
    own: Mapping[str, bytes]


def mark_folder(folder: Path) -> str:
    """Leave a mark in the run folder and return it; a worker that reads it sees the folder."""
    mark = uuid.uuid4().hex
    place = folder / "work"
    place.mkdir(parents=True, exist_ok=True)
    (place / _MARK).write_text(mark)
    return mark


def sees_folder(folder: Path, mark: str) -> bool:
    """Return whether this process sees the folder that was marked."""
    try:
        return (folder / "work" / _MARK).read_text() == mark
    except OSError:
        return False


def pack(bench: Workbench, cache: Path, mark: str) -> Shipment:
    """Return the workbench ready to travel.

    Args:
        bench: the driver's.
        cache: its folder of tables.
        mark: of the run folder.
    """
    with tempfile.TemporaryDirectory() as place:
        traced = traced_folder(cache, bench.model)
        if not traced.is_dir():
            traced = traced_folder(Path(place), bench.model)
            store_traced(traced, bench.traced, bench.base)
        calibration = calibration_file(
            bench.config, bench.traced, bench.data, bench.model.fingerprint, Path(place)
        )
        calibration.parent.mkdir(parents=True, exist_ok=True)
        bench.quantizer.calibration.save(calibration)
        cached = {f"traced/{traced.name}/{file.name}": file.read_bytes() for file in traced.iterdir()}
        cached[f"calibration/{calibration.name}"] = calibration.read_bytes()
    struck = bench.folder / STRUCK_FILE
    own = {STRUCK_FILE: struck.read_bytes()} if struck.is_file() else {}
    # The module is its program; a tokenizer only made the samples, which travel themselves.
    model = replace(bench.model, module=None, tokenizer=None)  # type: ignore[arg-type]
    return Shipment(f"automl-{mark}", model, bench.data, cached, own)


def unpack(shipment: Shipment, config: SearchConfig, place: Path | None = None) -> Workbench:
    """Return the workbench on this node.

    Args:
        shipment: what :func:`pack` returned.
        config: of the run.
        place: folder for the files; the node's temporary folder when None.

    Raises:
        AutomlError: what arrived cannot be used.
    """
    root = (Path(tempfile.gettempdir()) if place is None else place) / shipment.name
    folder, cache = root / "run", root / "cache"
    for base, files in ((cache, shipment.cached), (folder, shipment.own)):
        for name, content in files.items():
            _put(base / name, content)
    program = next(cache / name for name in shipment.cached if name.endswith(PROGRAM_FILE))
    module, _ = load_exported(program)
    model = replace(shipment.model, module=module)
    return build_workbench(
        config, folder, cache, silent, model=model, splits=shipment.data, own_core=config.workers > 1
    )


def _put(file: Path, content: bytes) -> None:
    """Write a file unless another worker of the node did; never half of it."""
    if file.is_file() and file.stat().st_size == len(content):
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{uuid.uuid4().hex}")
    part.write_bytes(content)
    part.replace(file)
