"""The plain per-layer sum: the baseline that the latency model must beat, never used for prices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from automl.core.errors import EvaluationError
from automl.evaluators.latency_features import Attributor
from automl.evaluators.latency_features import latency_class

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.evaluators.latency_model import LatencyObservation
    from automl.searchspaces.graph import ModelGraph

__all__ = ["PlainSum"]


@dataclass(frozen=True, eq=False)
class PlainSum:
    """Every site has a time per (float type, latency class); a candidate takes their sum.

    Args:
        base_ms: float type -> latency of the all-``fp`` candidate.
        deltas: (float type, class, site) -> milliseconds that the option adds to it.
    """

    base_ms: Mapping[str, float]
    deltas: Mapping[tuple[str, str, str], float]

    @classmethod
    def from_profiles(cls, graph: ModelGraph, observations: Sequence[LatencyObservation]) -> PlainSum:
        """Return the sum of per-layer times as the uniform candidates' profiles show them.

        Raises:
            EvaluationError: no observation is uniformly ``fp``.
        """
        base, rest = _split(observations)
        attributor = Attributor(graph)
        deltas: dict[tuple[str, str, str], float] = {}
        for observation in rest:
            classes = [latency_class(p) for p in observation.precisions.values()]
            name = max(set(classes), key=classes.count)
            if observation.float_type not in base or classes.count(name) < 0.9 * len(graph.sites):
                continue
            own = _shares(attributor, observation)
            reference = _shares(attributor, base[observation.float_type])
            for site in graph.sites:
                deltas[(observation.float_type, name, site.name)] = own.get(site.node, 0.0) - reference.get(
                    site.node, 0.0
                )
        return cls({f: o.timing_ms for f, o in base.items()}, deltas)

    @classmethod
    def from_changes(cls, observations: Sequence[LatencyObservation]) -> PlainSum:
        """Return the sum of end-to-end differences of candidates that change exactly one site.

        Raises:
            EvaluationError: no observation is uniformly ``fp``.
        """
        base, rest = _split(observations)
        deltas: dict[tuple[str, str, str], float] = {}
        for observation in rest:
            changed = [(s, p) for s, p in observation.precisions.items() if p != "fp"]
            if len(changed) == 1 and observation.float_type in base:
                site, option = changed[0]
                difference = observation.timing_ms - base[observation.float_type].timing_ms
                deltas[(observation.float_type, latency_class(option), site)] = difference
        return cls({f: o.timing_ms for f, o in base.items()}, deltas)

    def predict(
        self, precisions: Sequence[Mapping[str, str]], float_types: Sequence[str]
    ) -> NDArray[np.float64]:
        """Return milliseconds (n,); an option that was never priced adds nothing.

        Raises:
            EvaluationError: a float type has no all-``fp`` measurement.
        """
        out = np.empty(len(precisions))
        for row, (options, float_type) in enumerate(zip(precisions, float_types, strict=True)):
            if float_type not in self.base_ms:
                raise EvaluationError(
                    f"the plain sum has no measurement of the float model in {float_type}; it knows "
                    f"{', '.join(self.base_ms)}: measure that candidate first"
                )
            changes = (
                self.deltas.get((float_type, latency_class(p), s), 0.0)
                for s, p in options.items()
                if p != "fp"
            )
            out[row] = self.base_ms[float_type] + sum(changes)
        return out


def _shares(attributor: Attributor, observation: LatencyObservation) -> dict[str, float]:
    """Return milliseconds per unit, rescaled to add up to the end-to-end median."""
    times = attributor.times(observation.profile)
    total = sum(times.values())
    return {name: ms * observation.timing_ms / total for name, ms in times.items()} if total > 0 else {}


def _split(
    observations: Sequence[LatencyObservation],
) -> tuple[dict[str, LatencyObservation], list[LatencyObservation]]:
    """Return the all-``fp`` observation of each float type, and the others."""
    base: dict[str, LatencyObservation] = {}
    rest = []
    for observation in observations:
        if all(p == "fp" for p in observation.precisions.values()):
            base.setdefault(observation.float_type, observation)
        else:
            rest.append(observation)
    if not base:
        raise EvaluationError(
            "the plain sum needs the untouched model among the observations; measure the all-fp candidate"
        )
    return base, rest
