"""A deterministic, cheap evaluator with a front that is known exactly.

Each layer of a made-up chain has a damage and a time per option, and neighbours with different options pay a
border, as on runtimes that convert between precisions. Everything follows from the seed and the candidate, so
runs can be compared trial by trial across executors, kills and machines.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.core.candidate import Candidate
from automl.core.dominance import nondominated_mask
from automl.core.errors import EvaluationError
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.objective import Objective
from automl.core.rng import child_rng
from automl.searchspaces.dimension import Dimension
from automl.searchspaces.space import SearchSpace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["OBJECTIVES", "SimulatedTarget", "build_target", "simulate"]

#: Axes of the simulated problem.
OBJECTIVES = (Objective("kl"), Objective("latency_ms"))

_OPTIONS = ("fp", "w8a8", "w4a8")
_SPEED = np.array([1.0, 0.55, 0.45])
_DAMAGE = np.array([0.0, 1.0, 6.0])


@dataclass(frozen=True)
class SimulatedTarget:
    """A chain of layers.

    Args:
        layers: number of layers, each one dimension with the options fp, w8a8 and w4a8.
        seed: decides the layers' damages, times and borders.
        noise: relative amplitude of the pseudo-noise on the latency, a function of the candidate.
        failing: fraction of candidates (never the untouched model) that fail, a function of the candidate.
        sleep_s: seconds each evaluation sleeps.
        spin: rounds of arithmetic each evaluation computes, for tests of real scaling.
    """

    layers: int = 12
    seed: int = 0
    noise: float = 0.0
    failing: float = 0.0
    sleep_s: float = 0.0
    spin: int = 0

    @cached_property
    def space(self) -> SearchSpace:
        """The search space; its first option is the untouched model."""
        return SearchSpace(
            tuple(Dimension("precision", f"layer{i:03d}", _OPTIONS, "fp") for i in range(self.layers))
        )

    @cached_property
    def damage(self) -> NDArray[np.float64]:
        """Damage of each option, shape (layers, 3), nats."""
        scale = child_rng(self.seed, "damage").lognormal(-5.0, 1.0, size=(self.layers, 1))
        return np.asarray(scale * _DAMAGE)

    @cached_property
    def times(self) -> NDArray[np.float64]:
        """Time of each option, shape (layers, 3), milliseconds."""
        scale = child_rng(self.seed, "times").lognormal(-1.0, 0.6, size=(self.layers, 1))
        return np.asarray(scale * _SPEED)

    @cached_property
    def borders(self) -> NDArray[np.float64]:
        """Time lost between neighbours of which exactly one computes in floats, shape (layers - 1,)."""
        return np.asarray(child_rng(self.seed, "borders").uniform(0.02, 0.15, size=max(0, self.layers - 1)))

    def latencies(self, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return noise-free latencies of codes (n, layers); shape (n,), milliseconds."""
        floats = codes == 0
        crossed = floats[:, 1:] != floats[:, :-1]
        return np.asarray(self.times[np.arange(self.layers), codes].sum(axis=1) + crossed @ self.borders)

    def damages(self, codes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return damages of codes (n, layers); shape (n,), nats."""
        return np.asarray(self.damage[np.arange(self.layers), codes].sum(axis=1))

    def _uniform(self, candidate: Candidate, name: str) -> float:
        text = f"{self.seed}/{name}/{candidate.digest}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64

    def measure(self, candidate: Candidate) -> Measurement:
        """Return kl, latency_ms and size_bytes of a candidate.

        Raises:
            EvaluationError: the candidate is one of the failing ones.
        """
        code = self.space.encode([candidate])
        if code.any() and self._uniform(candidate, "failing") < self.failing:
            raise EvaluationError("the simulated runtime refuses this candidate")
        wobble = 1.0 + self.noise * (2.0 * self._uniform(candidate, "noise") - 1.0)
        latency = float(self.latencies(code)[0]) * wobble
        size = float((np.array([4000, 1000, 500])[code[0]]).sum())
        return Measurement(
            {
                "kl": Metric(float(self.damages(code)[0]), "nat"),
                "latency_ms": Metric(latency, "ms"),
                "size_bytes": Metric(size, "B"),
            }
        )

    def front(self) -> NDArray[np.float64]:
        """Return the exact front without noise and failures, (n, 2): kl and latency, by increasing kl.

        A forward pass over the chain keeps, for each kind of the last layer (float or integer), the
        non-dominated partial sums; damage and time of a prefix only add up, so nothing dropped can return.
        """
        partial: dict[bool, NDArray[np.float64]] = {}
        for layer in range(self.layers):
            grown: dict[bool, list[NDArray[np.float64]]] = {True: [], False: []}
            for option in range(len(_OPTIONS)):
                step = np.array([self.damage[layer, option], self.times[layer, option]])
                is_float = option == 0
                if layer == 0:
                    grown[is_float].append(step[None])
                for was_float, points in partial.items():
                    border = self.borders[layer - 1] if was_float != is_float else 0.0
                    grown[is_float].append(points + step + [0.0, border])
            partial = {kind: _front_of(np.concatenate(parts)) for kind, parts in grown.items()}
        return _front_of(np.concatenate(list(partial.values())))


def _front_of(points: NDArray[np.float64]) -> NDArray[np.float64]:
    unique = np.unique(points, axis=0)
    return unique[nondominated_mask(unique)]


def build_target(
    layers: int = 12,
    seed: int = 0,
    noise: float = 0.0,
    failing: float = 0.0,
    sleep_s: float = 0.0,
    spin: int = 0,
) -> SimulatedTarget:
    """Return the simulated target; a ``setup`` for executors through ``functools.partial``."""
    return SimulatedTarget(layers, seed, noise, failing, sleep_s, spin)


def simulate(state: SimulatedTarget, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Measure ``payload["candidate"]``; the ``work`` of executors.

    A payload whose stage is ``quality`` or ``latency`` gets only that stage's metrics.

    Raises:
        EvaluationError: the candidate is one of the failing ones.
    """
    if state.sleep_s:
        time.sleep(state.sleep_s)
    value = 1.0
    for _ in range(state.spin):
        value = (value * 1.000001) % 3.0
    measurement = state.measure(Candidate.of(payload["candidate"]))
    parts = {"quality": ("kl", "size_bytes"), "latency": ("latency_ms",)}
    names = parts.get(payload.get("stage", ""), tuple(measurement))
    return Measurement({name: measurement[name] for name in names}).to_json()
