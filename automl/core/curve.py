"""How something that a search learns moved while it learned: rows for the report and for ``--json``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

from automl.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CurveSeries", "LearningCurve"]


@dataclass(frozen=True)
class CurveSeries:
    """One quantity of a curve.

    Args:
        name: what it is, short.
        axis: title of its axis with the unit; series of one axis are drawn on the same one.
        values: one a step.
    """

    name: str
    axis: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class LearningCurve:
    """Quantities over the steps in which something was learned.

    Args:
        title: what learned, for example ``policy of controller``.
        hint: how the values are to be read, one or two sentences.
        step: what a step is, as the title of an axis.
        steps: number of each row's step, rising; a long curve is thinned and leaves steps out.
        series: at least one, each with a value a step.

    Raises:
        ConfigError: there is no series, or one is longer or shorter than the steps.
    """

    title: str
    hint: str
    step: str
    steps: tuple[float, ...]
    series: tuple[CurveSeries, ...]

    def __post_init__(self) -> None:
        lengths = [len(s.values) for s in self.series]
        if not lengths or set(lengths) != {len(self.steps)}:
            raise ConfigError(
                f"the curve '{self.title}' has {len(self.steps)} steps and series of {lengths} values; give "
                "at least one series, with a value a step"
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "title": self.title,
            "hint": self.hint,
            "step": self.step,
            "steps": list(self.steps),
            "series": [{"name": s.name, "axis": s.axis, "values": list(s.values)} for s in self.series],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LearningCurve:
        """Return the curve that :meth:`to_json` wrote."""
        series = (CurveSeries(s["name"], s["axis"], tuple(s["values"])) for s in data["series"])
        return cls(data["title"], data["hint"], data["step"], tuple(data["steps"]), tuple(series))
