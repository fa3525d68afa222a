"""Rounding one layer well: step search under the layer's own output error, compensation, refinement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.core.errors import ConfigError
from automl.transforms.quantization_math import code_limits
from automl.transforms.quantization_math import expand_scale
from automl.transforms.quantization_math import n_groups
from automl.transforms.ranges_math import lp_row_scales
from automl.transforms.rounding_math import activation_order
from automl.transforms.rounding_math import compensate
from automl.transforms.rounding_math import damped
from automl.transforms.rounding_math import inverse_factor
from automl.transforms.rounding_math import quadratic_error
from automl.transforms.rounding_math import refine
from automl.transforms.rounding_math import refit_scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LayerRounder", "QuantizerSettings", "RoundedLayer", "nearest_layer"]


@dataclass(frozen=True)
class QuantizerSettings:
    """How hard to try.

    Args:
        activation_rule: ``lp``, ``percentile`` or ``minmax``.
        activation_power: exponent of the ``lp`` rule for activations.
        percentile: share kept by the ``percentile`` rule, in percent.
        weight_power: exponent of the ``lp`` rule for nearest rounding of weights.
        grid_steps: points of the activations' range grids.
        weight_steps: points of the weights' step grids.
        compensate_below: weights of fewer bits get error-compensating rounding.
        damping: least damping of a Gram matrix, relative to its mean diagonal.
        scarcity: damping per ratio of columns to calibration rows, so that layers seen on few rows stay
            near the float weight.
        step_factors: multiples of the importance-weighted step at which a row is rounded; the best is kept.
        refine_passes: sweeps of coordinate descent after compensation.
        activation_order: round the columns with the strongest input first.
        correct_bias: fold the mean output error into the bias.

    Raises:
        ConfigError: a value is out of range.
    """

    activation_rule: str = "lp"
    activation_power: float = 2.4
    percentile: float = 99.99
    weight_power: float = 2.4
    grid_steps: int = 60
    weight_steps: int = 24
    compensate_below: int = 8
    damping: float = 0.01
    scarcity: float = 0.1
    step_factors: tuple[float, ...] = (0.8, 0.9, 1.0, 1.1)
    refine_passes: int = 2
    activation_order: bool = True
    correct_bias: bool = True

    def __post_init__(self) -> None:
        rules = ("lp", "percentile", "minmax")
        if self.activation_rule not in rules:
            raise ConfigError(
                f"activation rule '{self.activation_rule}' is unknown; use one of {', '.join(rules)}"
            )
        if self.damping <= 0 or self.scarcity < 0 or self.grid_steps < 2:
            raise ConfigError(
                f"damping {self.damping}, scarcity {self.scarcity}, grid_steps {self.grid_steps}: "
                "give damping > 0, scarcity >= 0 and at least 2 grid steps"
            )
        if not self.step_factors or min(self.step_factors) <= 0:
            raise ConfigError(f"step factors {self.step_factors}: give at least one positive number")


@dataclass(frozen=True, eq=False)
class RoundedLayer:
    """Codes (groups, rows, columns) and their steps, (groups * rows,) or (groups * rows, n_groups)."""

    codes: NDArray[np.int8]
    scale: NDArray[np.float32]
    group: int = 0

    def values(self) -> NDArray[np.float32]:
        """Return the dequantized matrices."""
        groups, rows, columns = self.codes.shape
        steps = expand_scale(self.scale, columns, self.group).reshape(groups, rows, -1)
        return self.codes.astype(np.float32) * steps.astype(np.float32)

    def choose(self, other: RoundedLayer, take: NDArray[np.bool_]) -> RoundedLayer:
        """Return the layer with the rows of ``take``, (groups, rows), replaced by the other's."""
        scale = self.scale.copy()
        scale[take.reshape(-1)] = other.scale[take.reshape(-1)]
        return RoundedLayer(np.where(take[:, :, None], other.codes, self.codes), scale, self.group)


def nearest_layer(
    weight: NDArray[Any], bits: int, settings: QuantizerSettings, *, group: int = 0
) -> RoundedLayer:
    """Round to nearest on the Lp-optimal grid of each row or group.

    Args:
        weight: (groups, rows, columns).
        bits: weight bits.
        settings: exponents and grid.
        group: weights that share a step, 0 per row.
    """
    scale = _grid(weight, bits, settings.weight_power, settings.weight_steps, group, None)
    steps = expand_scale(scale, weight.shape[2], group).reshape(*weight.shape[:2], -1)
    low, high = code_limits(bits)
    return RoundedLayer(np.clip(np.rint(weight / steps), low, high).astype(np.int8), scale, group)


def _grid(
    weight: NDArray[Any],
    bits: int,
    p: float,
    steps: int,
    group: int,
    importance: NDArray[Any] | None,
) -> NDArray[np.float32]:
    """Return the step of each row or group; importance is (groups, columns)."""
    groups, rows, columns = weight.shape
    flat = weight.reshape(groups * rows, columns)
    wide = None if importance is None else np.repeat(importance, rows, axis=0)
    if not group:
        return lp_row_scales(flat, bits, p=p, steps=steps, importance=wide)
    count = n_groups(columns, group)
    pad = count * group - columns
    flat = np.pad(flat, ((0, 0), (0, pad))).reshape(-1, group)
    if wide is not None:
        wide = np.pad(wide, ((0, 0), (0, pad))).reshape(-1, group)
    return lp_row_scales(flat, bits, p=p, steps=steps, importance=wide).reshape(groups * rows, count)


class LayerRounder:
    """Rounds weights of one layer against one Gram matrix; the factorization is shared by all bits.

    Args:
        gram: (groups, columns, columns) mean outer product of the input rows, about their mean when a bias
            takes the mean.
        count: rows behind the Gram matrix.
        settings: how hard to try.
    """

    def __init__(self, gram: NDArray[Any], count: int, settings: QuantizerSettings) -> None:
        self.settings = settings
        columns = gram.shape[-1]
        damping = settings.damping + settings.scarcity * columns / max(count, 1)
        self.order = activation_order(gram) if settings.activation_order else np.arange(columns)
        self.hessian = damped(gram[:, self.order][:, :, self.order], damping)
        self.factor = inverse_factor(self.hessian)
        self.back = np.argsort(self.order)

    def round(self, weight: NDArray[Any], bits: int, *, group: int = 0) -> RoundedLayer:
        """Return the rounding of ``weight``, (groups, rows, columns), with a small output error."""
        diagonal = np.einsum("gcc->gc", self.hessian)[:, self.back]
        base = _grid(weight, bits, 2.0, self.settings.weight_steps, group, diagonal)
        if group:
            return self._round_groups(weight, base, bits, group)
        return self._round_rows(weight[:, :, self.order], base.reshape(weight.shape[:2]), bits)

    def _limits(self, rows: int, bits: int) -> tuple[NDArray[Any], NDArray[Any]]:
        low, high = code_limits(bits)
        return np.full(rows, low), np.full(rows, high)

    def _round_groups(
        self, weight: NDArray[Any], scale: NDArray[np.float32], bits: int, group: int
    ) -> RoundedLayer:
        steps = expand_scale(scale, weight.shape[2], group).reshape(weight.shape)[:, :, self.order]
        limits = self._limits(weight.shape[1], bits)
        ordered = weight[:, :, self.order]
        codes = compensate(ordered, self.factor, steps, limits)
        codes = refine(ordered, codes, self.hessian, steps, limits, passes=self.settings.refine_passes)
        return RoundedLayer(codes[:, :, self.back], scale, group)

    def _round_rows(self, weight: NDArray[Any], base: NDArray[np.float32], bits: int) -> RoundedLayer:
        factors = self.settings.step_factors
        rows = weight.shape[1]
        stacked = np.tile(weight, (1, len(factors), 1))
        steps = np.concatenate([base * np.float32(f) for f in factors], axis=1)[:, :, None]
        limits = self._limits(stacked.shape[1], bits)
        codes = compensate(stacked, self.factor, steps, limits)
        error = quadratic_error(stacked - codes * steps, self.hessian).reshape(
            len(weight), len(factors), rows
        )
        best = error.argmin(axis=1)[:, None, :, None]
        codes = np.take_along_axis(codes.reshape(len(weight), len(factors), rows, -1), best, axis=1)[:, 0]
        scale = np.take_along_axis(steps.reshape(len(weight), len(factors), rows, 1), best, axis=1)[:, 0]
        limits = self._limits(rows, bits)
        for _ in range(self.settings.refine_passes):
            codes = refine(weight, codes, self.hessian, scale, limits, passes=1)
            better = refit_scale(weight, codes, self.hessian)[:, :, None].astype(np.float32)
            scale = np.where(np.isfinite(better), better, scale)
        return RoundedLayer(codes[:, :, self.back], scale.reshape(-1).astype(np.float32))
