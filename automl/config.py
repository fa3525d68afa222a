"""The configuration of a search: one frozen value, YAML in and out, unknown keys refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any
from typing import Literal

import yaml
from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from pydantic import ValidationError
from pydantic import field_validator

from automl.core.budget import Budget
from automl.core.budget import parse_budgets
from automl.core.errors import BudgetError
from automl.core.errors import ConfigError
from automl.core.errors import unknown_name
from automl.core.storage_url import public_url

__all__ = ["EFFORTS", "Effort", "SearchConfig", "make_config", "parse_duration", "read_config"]


@dataclass(frozen=True)
class Effort:
    """How much is spent on each stage.

    Args:
        trials: candidates evaluated on quality and latency, trial 0 included.
        latency_designs: designed candidates measured to fit the latency model.
        sensitivity_samples: calibration samples for the sensitivity tables.
        repeats: timed runs of each candidate per measurement.
        confirm: front members that are written, reloaded and measured again.
        repairs: how many of them are repaired first, the best quality first.
        confirm_repeats: timed runs of each of them.
    """

    trials: int
    latency_designs: int
    sensitivity_samples: int
    repeats: int
    confirm: int
    repairs: int
    confirm_repeats: int


EFFORTS: dict[str, Effort] = {
    "quick": Effort(24, 16, 16, 24, 6, 3, 60),
    "standard": Effort(80, 48, 32, 32, 10, 6, 100),
    "full": Effort(300, 120, 64, 48, 20, 20, 200),
}

#: Latency as the serving runtime was timed, and as a roofline prices it.
MEASURED, ESTIMATED = "latency_ms", "estimated_latency_ms"

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h)")


def parse_duration(text: str) -> float:
    """Return seconds of ``90s``, ``10m`` or ``2h``.

    Raises:
        ConfigError: the text is none of these or is zero.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None or float(found[1]) <= 0:
        raise ConfigError(
            f"cannot read the time limit '{text}': give a positive number with s, m or h, such as 10m"
        )
    return float(found[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0}[found[2]]


class SearchConfig(BaseModel):
    """Everything that decides what a run does.

    Two runs with equal configurations on one machine ask for the same candidates.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(
        min_length=1, description="zoo name, timm:NAME, module:function, Hugging Face folder, .pt2 file"
    )
    weights: Path | None = Field(default=None, description="safetensors file for timm:NAME")
    input: tuple[str, ...] = Field(default=(), description="input shapes such as 1x3x32x32")
    data: str | None = Field(default=None, description="folder or file; the embedded default when absent")
    calibration_data: str | None = Field(
        default=None, description="other data to calibrate on; samples of data when absent"
    )
    budget: tuple[str, ...] = Field(default=(), description="limits such as latency=5ms or size=4MB")
    target: str = "openvino"
    estimate: str | None = Field(
        default=None, description="price latency by the roofline of this device instead of measuring it"
    )
    space: str = "precision"
    options: tuple[str, ...] = Field(
        default=(), description="precision options to allow; all legal ones when empty"
    )
    strategy: str = "evolutionary"
    effort: Literal["quick", "standard", "full"] = "standard"
    trials: int | None = Field(default=None, ge=1)
    time: str | None = None
    seed: int = Field(default=0, ge=0)
    data_seed: int | None = Field(
        default=None,
        ge=0,
        description="seed of the samples that are drawn and of what tables are measured on; seed when absent",
    )
    workers: int = Field(default=1, ge=1)
    executor: Literal["local", "ray"] = "local"
    ray_address: str | None = None
    workers_resources: str | None = Field(
        default=None, description="what each worker needs: CPU=2,memory=4GB,NAME=1"
    )
    timing_resource: str | None = Field(
        default=None,
        description="Ray resource of the nodes that time; timing waits for idle workers when absent",
    )
    trial_time: str | None = Field(
        default=None, description="time after which one evaluation counts as hung, such as 15m"
    )
    threads: int | None = Field(
        default=None, ge=1, description="threads of the serving runtime; all cores when absent"
    )
    batch: int = Field(default=1, ge=1, description="batch size at which latency is measured")
    repeat: int = Field(
        default=1, ge=1, description="measurements of each candidate, averaged; for noisy machines"
    )
    calibration: int = Field(default=128, ge=1)
    evaluation: int = Field(default=256, ge=1)
    cache: Path | None = Field(
        default=None, description="folder of tables shared by runs; ~/.cache/automl when absent"
    )
    storage: str | None = Field(
        default=None, description="Optuna storage URL; a journal file in the run when absent"
    )

    @field_validator("budget")
    @classmethod
    def _readable(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(b.text for b in parse_budgets(texts))

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """The parsed budgets, relative ones unresolved; with an estimate latency means the estimated one."""
        parsed = parse_budgets(self.budget)
        return tuple(replace(b, metric=self.latency_metric) if b.metric == MEASURED else b for b in parsed)

    @property
    def latency_metric(self) -> str:
        """Name of the latency that is searched: measured and estimated times never share one."""
        return MEASURED if self.estimate is None else ESTIMATED

    @property
    def spend(self) -> Effort:
        """The effort profile."""
        return EFFORTS[self.effort]

    @property
    def n_trials(self) -> int:
        """Number of trials, trial 0 included."""
        return self.trials if self.trials is not None else self.spend.trials

    @property
    def seconds(self) -> float | None:
        """Time limit in seconds, or None."""
        return None if self.time is None else parse_duration(self.time)

    @property
    def drawn_seed(self) -> int:
        """Seed of the samples and of what tables are measured on; runs that share it share their tables."""
        return self.seed if self.data_seed is None else self.data_seed

    def identity(self) -> dict[str, Any]:
        """Return the settings that decide which candidates are asked for, as plain JSON.

        Where and how fast a run is executed (workers, executor, time, storage) may change when it is resumed.
        A ``data_seed`` equal to ``seed`` is left out, so that runs from before there was one go on.
        """
        free = set() if self.drawn_seed != self.seed else {"data_seed"}
        free |= {"workers", "executor", "ray_address", "workers_resources", "timing_resource", "trial_time"}
        free |= {"time", "storage", "cache", "trials"}
        return self.model_dump(mode="json", exclude=free)

    def shown(self) -> dict[str, Any]:
        """Return every setting as plain JSON for reports and artifacts, without a password of the storage."""
        hidden = None if self.storage is None else public_url(self.storage)
        return {**self.model_dump(mode="json"), "storage": hidden}

    def to_yaml(self) -> str:
        """Return the configuration as YAML, every setting written out, without a password of the storage."""
        return yaml.safe_dump(self.shown(), sort_keys=False)


def make_config(settings: dict[str, Any]) -> SearchConfig:
    """Return the validated configuration.

    Raises:
        ConfigError: an unknown key (nearest valid one named) or a value out of range.
        BudgetError: a budget cannot be read.
    """
    unknown = [key for key in settings if key not in SearchConfig.model_fields]
    if unknown:
        raise ConfigError(unknown_name("setting", str(unknown[0]), SearchConfig.model_fields))
    if "budget" in settings:
        settings = {**settings, "budget": _budget_texts(settings["budget"])}
        parse_budgets(settings["budget"])
    try:
        config = SearchConfig(**settings)
    except ValidationError as error:
        raise ConfigError(_refusal(error)) from None
    for limit in (config.time, config.trial_time):
        if limit is not None:
            parse_duration(limit)
    return config


def _budget_texts(given: Any) -> tuple[str, ...]:
    """Return one text or several as a tuple.

    Raises:
        BudgetError: it is neither, or a text is empty.
    """
    several = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
    texts = () if given is None or given == "" else several
    if not all(isinstance(text, str) for text in texts):
        raise BudgetError(
            f"cannot read the budget {given!r}: give a text such as latency=5ms, or a list of such texts"
        )
    if any(not text.strip(" ,") for text in texts):
        raise BudgetError("an empty budget limits nothing: write METRIC=LIMIT, for example latency=5ms")
    return tuple(texts)


def _refusal(error: ValidationError) -> str:
    """Return the sentence for the first setting that is not valid."""
    first = error.errors()[0]
    name, kind, given = str(first["loc"][0]), first["type"], first["input"]
    if name == "model" and kind in {"missing", "string_too_short"}:
        return "no model is given; name one, for example efficientnet_lite0: automl doctor lists the zoo"
    if kind == "literal_error":
        return unknown_name(name, str(given), re.findall(r"'([^']*)'", first["ctx"]["expected"]))
    shown = "" if name == "storage" else f"={given!r}"
    if kind == "greater_than_equal":
        return f"setting {name}{shown}: it must be at least {first['ctx']['ge']}; see automl search --help"
    return f"setting {name}{shown}: {first['msg'].lower()}; see automl search --help"


def read_config(path: Path) -> SearchConfig:
    """Return the configuration stored in a YAML file.

    Raises:
        ConfigError: the file is missing, is not YAML, or holds unknown settings.
    """
    try:
        loaded = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read the configuration {path}: {str(error).splitlines()[0]}") from None
    if not isinstance(loaded, dict):
        raise ConfigError(
            f"the configuration {path} must be a mapping of settings; got {type(loaded).__name__}"
        )
    return make_config(loaded)
