"""Prepare: model, data, trace, target, space, calibration and the exported base graph, each built once."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from automl.core.errors import ArtifactError
from automl.core.errors import ConfigError
from automl.core.errors import unknown_name
from automl.core.rng import child_seed
from automl.data.loading import load_data
from automl.evaluators.cache import ContentCache
from automl.evaluators.roofline import Roofline
from automl.models.checks import parse_input_shape
from automl.models.loading import load_model
from automl.searchspaces.builders.precision import precision_space
from automl.stages.events import Progressed
from automl.stages.prefilter import without_hopeless
from automl.stages.stored import stored_name
from automl.stages.stored import trim
from automl.stages.traced import trace_and_export
from automl.targets.devices import find_device
from automl.targets.table import make_target
from automl.transforms.calibrate import Calibration
from automl.transforms.calibrate import calibrate
from automl.transforms.precision import PRECISIONS
from automl.transforms.precision import parse_precision
from automl.transforms.quantize import Quantizer

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from torch import nn

    from automl.config import SearchConfig
    from automl.data.loading import DataSplits
    from automl.models.loaded import LoadedModel
    from automl.searchspaces.graph import TracedModel
    from automl.searchspaces.space import SearchSpace
    from automl.stages.events import Listener
    from automl.targets.base import Legality
    from automl.targets.base import Target
    from automl.targets.onnx_export import BaseOnnx

__all__ = ["SPACES", "Workbench", "build_workbench", "calibration_file", "prepare"]

#: What ``--calibration-data`` takes for the photographs and prose that installed packages ship.
EMBEDDED = "embedded"

#: What ``--space`` takes.
SPACES = ("precision",)

#: Steps that the listener is told of.
_STEPS = 5

_LOW_BIT = frozenset(name for name in PRECISIONS if parse_precision(name).weight_bits < 8)


@dataclass(frozen=True, eq=False)
class Workbench:
    """Everything the later stages work on; built once per process, never changed.

    ``target`` times with the run's threads. ``quality_target`` predicts: the same object, or one thread a
    worker when several workers share the machine.
    """

    config: SearchConfig
    model: LoadedModel
    data: DataSplits
    traced: TracedModel
    base: BaseOnnx
    target: Target
    quality_target: Target
    legality: Legality
    space: SearchSpace
    quantizer: Quantizer
    cache: ContentCache
    folder: Path

    @cached_property
    def roofline(self) -> Roofline | None:
        """What prices latency when the run estimates it for a device; None when it is measured."""
        if self.config.estimate is None:
            return None
        return Roofline(self.traced.graph, find_device(self.config.estimate), batch=self.config.batch)

    @property
    def key(self) -> tuple[str, ...]:
        """What tables of this model, data and seed of the data depend on, besides their own settings."""
        return (
            self.model.fingerprint,
            self.data.fingerprint,
            self.traced.graph.fingerprint,
            str(self.config.drawn_seed),
        )


def allowed_options(config: SearchConfig) -> frozenset[str]:
    """Return the precision options worth searching under these budgets.

    Options of fewer than 8 weight bits with 8-bit activations buy bytes and no speed, so they join only when
    bytes or bits are limited, or when they are named.
    """
    for name in config.options:
        if name not in PRECISIONS:
            raise ConfigError(unknown_name("option", name, PRECISIONS))
    if config.options:
        return frozenset({"fp", *config.options})
    wants_bytes = any(b.metric in {"size_bytes", "weight_bits", "memory_bytes"} for b in config.budgets)
    slow = {n for n in PRECISIONS if n in _LOW_BIT and parse_precision(n).activation_bits is not None}
    return frozenset(PRECISIONS) if wants_bytes else frozenset(PRECISIONS) - slow


def restrict(legality: Legality, allowed: frozenset[str]) -> Legality:
    """Return the legality with only ``allowed`` options; the others are struck out with the reason."""
    options = {site: tuple(o for o in names if o in allowed) for site, names in legality.options.items()}
    struck = [
        (site, name, "buys bytes and no speed: searched only when size or bits is limited, or on request")
        for site, names in legality.options.items()
        for name in names
        if name not in allowed
    ]
    return replace(legality, options=options, struck=(*legality.struck, *struck))


def _calibrate_elsewhere(config: SearchConfig, model: LoadedModel, splits: DataSplits) -> DataSplits:
    """Return the splits with calibration samples of ``calibration_data`` when it is given."""
    if config.calibration_data is None:
        return splits
    spec = None if config.calibration_data == EMBEDDED else config.calibration_data
    seed = child_seed(config.drawn_seed, "data")
    other = load_data(spec, model, calibration=config.calibration, evaluation=1, seed=seed)
    notes = tuple(n for n in splits.notes if "calibrat" not in n)
    return replace(splits, calibration=other.calibration, notes=(*notes, f"calibrated on {other.name}"))


def calibration_file(
    config: SearchConfig, traced: TracedModel, splits: DataSplits, model: str, cache_folder: Path
) -> Path:
    """Return where a cache keeps what calibration saw of a model, given by its fingerprint."""
    name = stored_name(model, traced.graph.fingerprint, splits.fingerprint, str(config.drawn_seed))
    return cache_folder / "calibration" / f"{name}.npz"


def _calibration(
    config: SearchConfig, traced: TracedModel, splits: DataSplits, model: str, cache_folder: Path
) -> Calibration:
    """Return what calibration saw, from the cache when this model saw these samples before."""
    file = calibration_file(config, traced, splits, model, cache_folder)
    if file.exists():
        try:
            stored = Calibration.load(file)
            file.touch()
            return stored
        except ArtifactError:
            file.unlink()
    calibration = calibrate(traced, splits.calibration, seed=child_seed(config.drawn_seed, "calibrate"))
    file.parent.mkdir(parents=True, exist_ok=True)
    calibration.save(file)
    trim(file.parent)
    return calibration


def prepare(
    config: SearchConfig,
    folder: Path,
    cache_folder: Path,
    listener: Listener,
    *,
    module: nn.Module | None = None,
    data: Any = None,
    own_core: bool = False,
) -> Workbench:
    """Load, trace, export and calibrate.

    Args:
        config: the run's configuration.
        folder: the run folder; intermediate files go to ``folder/work``.
        cache_folder: tables shared by runs.
        listener: told about each step.
        module: the model itself when it was given as an object.
        data: samples or a loader when given as an object.
        own_core: this is one of several workers: predict on a core that the others do not use.

    Raises:
        AutomlError: any input cannot be used; the text says what to do.
    """
    if config.space not in SPACES:
        raise ConfigError(unknown_name("space", config.space, SPACES))
    listener(Progressed("prepare", 0, _STEPS, "model"))
    target = make_target(config.target, threads=config.threads, batch=config.batch)
    shapes = tuple(parse_input_shape(text) for text in config.input) or None
    model = load_model(
        module if module is not None else config.model, input_shapes=shapes, weights=config.weights
    )
    listener(Progressed("prepare", 1, _STEPS, "data"))
    splits = load_data(
        data if data is not None else config.data,
        model,
        calibration=config.calibration,
        evaluation=config.evaluation,
        seed=child_seed(config.drawn_seed, "data"),
    )
    splits = _calibrate_elsewhere(config, model, splits)
    return build_workbench(
        config,
        folder,
        cache_folder,
        listener,
        model=model,
        splits=splits,
        target=target,
        own_core=own_core,
    )


def build_workbench(
    config: SearchConfig,
    folder: Path,
    cache_folder: Path,
    listener: Listener,
    *,
    model: LoadedModel,
    splits: DataSplits,
    target: Target | None = None,
    own_core: bool = False,
) -> Workbench:
    """Trace, export and calibrate a model that is loaded, with its data.

    Args:
        config: the run's configuration.
        folder: the run folder; intermediate files go to ``folder/work``.
        cache_folder: tables shared by runs.
        listener: told about each step.
        model: the loaded model.
        splits: its samples.
        target: the configuration's; made when None.
        own_core: see :func:`prepare`.

    Raises:
        AutomlError: any input cannot be used; the text says what to do.
    """
    target = target or make_target(config.target, threads=config.threads, batch=config.batch)
    order = {"trace": 2, "export": 3}
    traced, base = trace_and_export(
        model, cache_folder, lambda step: listener(Progressed("prepare", order[step], _STEPS, step))
    )
    legality = restrict(target.legality(traced.graph), allowed_options(config))
    legality = without_hopeless(config, traced.graph, legality, folder, cache_folder)
    space = precision_space(traced.graph, legality)
    listener(Progressed("prepare", 4, _STEPS, "calibrate"))
    cache = ContentCache(cache_folder)
    calibration = _calibration(config, traced, splits, model.fingerprint, cache_folder)
    quantizer = Quantizer(traced, calibration, target.rules)
    (folder / "work").mkdir(parents=True, exist_ok=True)
    listener(
        Progressed(
            "prepare",
            _STEPS,
            _STEPS,
            f"{len(traced.graph.sites)} sites, 10^{space.log10_size:.0f} candidates",
        )
    )
    quality_target = target
    if config.workers > 1:
        quality_target = make_target(config.target, threads=1, batch=config.batch, own_core=own_core)
    return Workbench(
        config, model, splits, traced, base, target, quality_target, legality, space, quantizer, cache, folder
    )


def timing_inputs(bench: Workbench) -> tuple[np.ndarray[Any, Any], ...]:
    """Return one batch of real inputs for timing, each (batch, ...)."""
    size = bench.config.batch
    index = np.arange(size) % len(bench.data.evaluation)
    return bench.data.evaluation.take(index).inputs
