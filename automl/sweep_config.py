"""The configuration of a sweep: lists of models, targets, budgets, strategies, seeds, and what they share."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import yaml

from automl.config import SearchConfig
from automl.config import make_config
from automl.core.errors import AutomlError
from automl.core.errors import BudgetError
from automl.core.errors import ConfigError
from automl.core.errors import unknown_name
from automl.core.storage_url import public_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Mapping

__all__ = ["AXES", "SweepCell", "SweepConfig", "make_sweep", "read_sweep"]

#: The lists of a sweep, outermost first: cells that share tables follow one another.
AXES = ("models", "targets", "budgets", "strategies", "seeds")

#: What one model may bring with it; everything else holds for all cells.
MODEL_KEYS = ("model", "weights", "input", "data", "calibration_data", "options")

_AXIS_SETTINGS = {"model": "models", "target": "targets", "budget": "budgets", "strategy": "strategies"}
_EXAMPLES = {
    "models": "[efficientnet_lite0, timm:resnet18]",
    "targets": "[openvino, onnxruntime]",
    "budgets": "[latency=0.6x, [latency=0.8x, size=4MB]]",
    "strategies": "[evolutionary, random]",
    "seeds": "[0, 1, 2]",
}
_LONGEST_LABEL = 96

#: Unless the sweep says otherwise, every cell sees the same samples: seeds then differ by the search alone,
#: and what is measured of a model before a search is measured once.
DATA_SEED = 0


@dataclass(frozen=True)
class SweepCell:
    """One search of a sweep.

    Args:
        name: unique in the sweep and stable when others are added; names the run folder and the study.
        label: model, target, budget, strategy and seed, as people read them.
        config: the search.
    """

    name: str
    label: tuple[str, str, str, str, int]
    config: SearchConfig


@dataclass(frozen=True)
class SweepConfig:
    """What a sweep runs: the product of its lists.

    Args:
        name: goes into the cells' names, so that several sweeps may record in one database.
        models: settings of each model, ``model`` and what else of :data:`MODEL_KEYS` it brings.
        targets: where models are served.
        budgets: limits that hold together; an empty one for a search without limits.
        strategies: names of searchers.
        seeds: seeds of the runs.
        shared: any other setting of a search, for all cells.
    """

    name: str
    models: tuple[Mapping[str, Any], ...]
    targets: tuple[str, ...]
    budgets: tuple[tuple[str, ...], ...]
    strategies: tuple[str, ...]
    seeds: tuple[int, ...]
    shared: Mapping[str, Any]

    def cells(self) -> tuple[SweepCell, ...]:
        """Return the searches, those that share tables one after another."""
        return tuple(
            self._cell(model, target, budget, strategy, seed)
            for model in self.models
            for target in self.targets
            for budget in self.budgets
            for strategy in self.strategies
            for seed in self.seeds
        )

    def _cell(
        self, model: Mapping[str, Any], target: str, budget: tuple[str, ...], strategy: str, seed: int
    ) -> SweepCell:
        axes = {"target": target, "budget": budget, "strategy": strategy, "seed": seed}
        config = make_config({"data_seed": DATA_SEED, **self.shared, **model, **axes})
        label = (config.model, target, ", ".join(config.budget) or "no budget", strategy, seed)
        short_model = Path(config.model).name if "/" in config.model else config.model
        text = ".".join([short_model, *map(str, label[1:4]), f"seed{seed}"])
        key = json.dumps([self.name, _plain(model), target, config.budget, strategy, seed], sort_keys=True)
        short = re.sub(r"[^A-Za-z0-9=_.-]+", "_", text)[:_LONGEST_LABEL]
        return SweepCell(f"{short}-{hashlib.sha256(key.encode()).hexdigest()[:8]}", label, config)

    def to_yaml(self) -> str:
        """Return the sweep as YAML that :func:`read_sweep` takes, without a password of the storage."""
        shared = _plain(self.shared)
        if isinstance(shared.get("storage"), str):
            shared["storage"] = public_url(shared["storage"])
        body = {
            "name": self.name,
            "models": [_plain(m) for m in self.models],
            "targets": list(self.targets),
            "budgets": [list(b) for b in self.budgets],
            "strategies": list(self.strategies),
            "seeds": list(self.seeds),
            **shared,
        }
        return yaml.safe_dump(body, sort_keys=False)


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {k: str(v) if isinstance(v, Path) else v for k, v in settings.items()}


def make_sweep(settings: Mapping[str, Any], *, name: str = "sweep") -> SweepConfig:
    """Return the validated sweep.

    Args:
        settings: the lists of :data:`AXES`, each item alone for a list of one, and settings of a search that
            hold for every cell.
        name: used unless the settings give one.

    Raises:
        ConfigError: a key is unknown, a list is empty or holds something else; the text names the key.
    """
    _known_keys(settings)
    if "models" not in settings:
        raise ConfigError(f"the key 'models' is missing; write for example models: {_EXAMPLES['models']}")
    sweep = SweepConfig(
        name=_one("name", settings.get("name", name), _folder_name),
        models=_items("models", settings, _model),
        targets=_items("targets", settings, _text, "openvino"),
        budgets=_items("budgets", settings, _budget, ()),
        strategies=_items("strategies", settings, _text, "evolutionary"),
        seeds=_items("seeds", settings, _seed, 0),
        shared={k: v for k, v in settings.items() if k not in AXES and k != "name"},
    )
    try:
        make_config({**sweep.shared, "model": "any"})
    except BudgetError:
        raise
    except AutomlError as error:
        raise ConfigError(f"the settings of every cell: {error}") from None
    return sweep


def _known_keys(settings: Mapping[str, Any]) -> None:
    shared = [k for k in SearchConfig.model_fields if k not in _AXIS_SETTINGS and k != "seed"]
    for key in settings:
        if key in _AXIS_SETTINGS or key == "seed":
            axis = _AXIS_SETTINGS.get(key, "seeds")
            raise ConfigError(
                f"key '{key}' belongs to one search; a sweep takes a list, for example {axis}: "
                f"{_EXAMPLES[axis]}"
            )
        if key not in AXES and key not in shared and key != "name":
            raise ConfigError(unknown_name("key", str(key), [*AXES, "name", *shared]))


def _items(
    key: str, settings: Mapping[str, Any], read: Callable[[str, Any], Any], default: Any = None
) -> tuple[Any, ...]:
    """Return the items of a list, or a single item as a list of one.

    Raises:
        ConfigError: the list is empty, or an item is repeated or is of another kind.
    """
    given = settings.get(key, default)
    items = list(given) if isinstance(given, (list, tuple)) and given != () else [given]
    if key in settings and isinstance(given, (list, tuple)) and not given:
        raise ConfigError(f"key '{key}': the list is empty; write for example {key}: {_EXAMPLES[key]}")
    found = [_one(key, item, read) for item in items]
    for position, item in enumerate(found):
        if item in found[:position]:
            raise ConfigError(f"key '{key}': {items[position]!r} is listed twice; list each item once")
    return tuple(found)


def _one(key: str, item: Any, read: Callable[[str, Any], Any]) -> Any:
    try:
        return read(key, item)
    except ConfigError as error:
        raise ConfigError(f"key '{key}': {error}") from None


def _text(key: str, item: Any) -> str:
    if not isinstance(item, str) or not item.strip():
        raise ConfigError(f"a name is wanted, got {item!r}; write for example {key}: {_EXAMPLES[key]}")
    return item.strip()


def _folder_name(_: str, item: Any) -> str:
    if not isinstance(item, str) or re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", item) is None:
        raise ConfigError(
            f"it names a folder, got {item!r}; use letters, digits, dots, dashes and underscores, such as "
            "name: nightly"
        )
    return item


def _seed(key: str, item: Any) -> int:
    if not isinstance(item, int) or isinstance(item, bool) or item < 0:
        raise ConfigError(
            f"a whole number of at least 0 is wanted, got {item!r}; write for example {key}: {_EXAMPLES[key]}"
        )
    return item


def _budget(key: str, item: Any) -> tuple[str, ...]:
    texts = list(item) if isinstance(item, (list, tuple)) else [item]
    if not all(isinstance(text, str) for text in texts):
        raise ConfigError(
            f"a text or a list of texts is wanted, got {item!r}; write for example {key}: {_EXAMPLES[key]}"
        )
    return make_config({"model": "any", "budget": texts}).budget


def _model(key: str, item: Any) -> Mapping[str, Any]:
    settings = item if isinstance(item, dict) else {"model": _text(key, item)}
    for name in settings:
        if name not in MODEL_KEYS:
            raise ConfigError(unknown_name("setting of a model", str(name), MODEL_KEYS))
    make_config(dict(settings))
    return dict(settings)


def read_sweep(path: Path) -> SweepConfig:
    """Return the sweep of a YAML file, named after the file unless it gives a name.

    Raises:
        ConfigError: the file is missing or not YAML, or a key is refused; the text names file and key.
    """
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read the sweep {path}: {error.strerror or error}; give a YAML file such as "
            "examples/sweep.yaml"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise ConfigError(f"the sweep {path} is not YAML{where}: {problem}; mend that line") from None
    if not isinstance(loaded, dict):
        raise ConfigError(
            f"the sweep {path} must be a mapping with the key 'models'; got {type(loaded).__name__}"
        )
    try:
        return make_sweep(loaded, name=path.stem)
    except AutomlError as error:
        raise ConfigError(f"{path}: {error}") from None
