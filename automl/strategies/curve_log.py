"""Rows of a learning curve as they come: bounded, and saved with the strategy that writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

from automl.core.curve import CurveSeries
from automl.core.curve import LearningCurve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

__all__ = ["CurveLog"]

#: A longer curve is thinned to half.
_LONGEST = 1024


class CurveLog:
    """A row of numbers a step; past 1,024 rows every second one is left out, and so are later ones."""

    def __init__(self) -> None:
        self._rows: list[list[float]] = []
        self._stride = 1
        self._noted = 0

    @property
    def noted(self) -> int:
        """Rows noted so far, those left out included."""
        return self._noted

    @property
    def rows(self) -> list[list[float]]:
        """What was kept: (step, values...), oldest first."""
        return [list(row) for row in self._rows]

    def note(self, step: float, *values: float) -> None:
        """Take in the values of a step."""
        if self._noted % self._stride == 0:
            self._rows.append([float(step), *map(float, values)])
        self._noted += 1
        if len(self._rows) > _LONGEST:
            self._rows, self._stride = self._rows[::2], 2 * self._stride

    def curves(
        self, title: str, hint: str, step: str, series: Sequence[tuple[str, str]]
    ) -> tuple[LearningCurve, ...]:
        """Return the curve, or nothing while it has fewer than two rows.

        Args:
            title: see :class:`LearningCurve`, also for ``hint`` and ``step``.
            hint: for the reader.
            step: title of the steps' axis.
            series: (name, axis) of each value of a row.
        """
        if len(self._rows) < 2:
            return ()
        steps, *columns = zip(*self._rows, strict=True)
        named = (CurveSeries(*s, column) for s, column in zip(series, columns, strict=True))
        return (LearningCurve(title, hint, step, steps, tuple(named)),)

    @property
    def state(self) -> dict[str, Any]:
        """Plain JSON that :meth:`restore` takes."""
        return {"rows": self.rows, "stride": self._stride, "noted": self._noted}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Set :attr:`state`."""
        self._rows = [list(row) for row in state["rows"]]
        self._stride, self._noted = int(state["stride"]), int(state["noted"])
