"""The run folder: where a run keeps its configuration, inputs, ledger, models and answer."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from automl.config import SearchConfig
from automl.config import read_config
from automl.core.errors import ConfigError
from automl.stages.secret_storage import STORAGE_FILE
from automl.stages.secret_storage import keep_storage
from automl.stages.secret_storage import kept_storage

__all__ = [
    "CONFIG_FILE",
    "LEDGER_FILE",
    "cache_folder",
    "default_cache",
    "discard_unused",
    "free_folder",
    "no_answer",
    "open_folder",
    "stored_config",
]

CONFIG_FILE = "config.yaml"
LEDGER_FILE = "ledger.journal"


def free_folder(name: str) -> Path:
    """Return the first free ``runs/NAME-N``."""
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", Path(name).stem).strip("_") or "model"
    return next(p for n in itertools.count(1) if not (p := Path("runs") / f"{stem}-{n}").exists())


def open_folder(config: SearchConfig, run: Path | None) -> Path:
    """Return the run's folder, created and holding its configuration.

    An existing folder of an equal configuration is continued; one whose run recorded nothing yet is taken
    over.

    Raises:
        ConfigError: the folder belongs to another configuration, or holds something else.
    """
    folder = run if run is not None else free_folder(config.model)
    file = folder / CONFIG_FILE
    if file.exists() and not _nothing_recorded(folder):
        stored, wanted = read_config(file).identity(), config.identity()
        different = [k for k in {**wanted, **stored} if stored.get(k) != wanted.get(k)]
        if different:
            key = different[0]
            raise ConfigError(
                f"{folder} holds a run with another configuration ({key}: {stored.get(key)!r} there, "
                f"{wanted.get(key)!r} here); choose another --run folder, or continue that one with "
                "automl resume"
            )
        return folder
    try:
        if folder.exists() and any(folder.iterdir()) and not file.exists():
            raise ConfigError(f"{folder} exists and is not a run folder; choose another --run folder")
        folder.mkdir(parents=True, exist_ok=True)
        keep_storage(folder, config.storage)
        file.write_text(config.to_yaml())
    except OSError as error:
        raise ConfigError(
            f"the run folder {folder} cannot be written ({error.strerror or error}); choose another --run "
            "folder, or mend space and permissions"
        ) from None
    return folder


def discard_unused(folder: Path) -> None:
    """Remove a new run folder that ended before its first trial; anything but its own first files stays."""
    if not (folder / CONFIG_FILE).exists() or not _nothing_recorded(folder):
        return
    names = (CONFIG_FILE, STORAGE_FILE, "nominal_ms.json", "struck_by_roofline.json")
    for file in ((folder / "work").glob("*"), map(folder.joinpath, names)):
        for path in file:
            path.unlink(missing_ok=True)
    for place in (folder / "work", folder):
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()


def _nothing_recorded(folder: Path) -> bool:
    """Return whether a run ended before its first trial, for example at a model that could not be loaded."""
    try:
        elsewhere = read_config(folder / CONFIG_FILE).storage is not None
    except ConfigError:
        return False
    return not elsewhere and not (folder / LEDGER_FILE).exists()


def stored_config(run: Path) -> SearchConfig:
    """Return the configuration of an existing run.

    Raises:
        ConfigError: the folder is no run folder.
    """
    file = run / CONFIG_FILE
    if not file.exists():
        raise ConfigError(
            f"{run} is not a run folder (no {CONFIG_FILE}); give the folder that automl search printed"
        )
    config, storage = read_config(file), kept_storage(run)
    return config if storage is None else config.model_copy(update={"storage": storage})


def no_answer(folder: Path) -> str:
    """Return the sentence for a folder without an answer: no run at all, or one that is not finished."""
    if not (folder / CONFIG_FILE).is_file():
        return (
            f"{folder} holds no finished run and is no run folder; give the folder that automl search printed"
        )
    return f"{folder} holds no finished run; finish it: automl resume {folder}"


def cache_folder(config: SearchConfig) -> Path:
    """Return the folder of tables shared by runs."""
    return config.cache if config.cache is not None else default_cache()


def default_cache() -> Path:
    """Return the folder of tables shared by runs when none is given."""
    return Path.home() / ".cache" / "automl"
