"""The latency model: what a mixed-precision candidate will take, learned from per-node profiles.

A sum of per-layer times is wrong for mixed precision because borders cost conversions and break fusions. The
model therefore explains the time of every *unit* (a graph node with everything the runtime executes for it,
inserted conversions included) by the options of its own site and of the sites around it; see
:mod:`automl.evaluators.latency_fit`. Units add up to the network, and one robust line per float type maps the
sum to the end-to-end median. Thousands of candidates cost one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.core.errors import EvaluationError
from automl.core.rng import child_rng
from automl.evaluators.latency_features import Attributor
from automl.evaluators.latency_features import FeatureMap
from automl.evaluators.latency_features import Neighborhood
from automl.evaluators.latency_features import SiteCodes
from automl.evaluators.latency_features import latency_class
from automl.evaluators.latency_features import neighborhoods
from automl.evaluators.latency_fit import UnitModel
from automl.evaluators.latency_fit import fit_units
from automl.evaluators.latency_math import huber_line
from automl.evaluators.latency_math import kendall_tau
from automl.evaluators.latency_math import mape
from automl.evaluators.latency_tables import latency_tables
from automl.targets.base import NodeProfile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from automl.evaluators.latency_tables import LatencyTables
    from automl.searchspaces.graph import ModelGraph
    from automl.searchspaces.space import SearchSpace

__all__ = ["HeldOut", "LatencyModel", "LatencyObservation"]

SCHEMA = 1
_FOLDS = 5


@dataclass(frozen=True, eq=False)
class LatencyObservation:
    """One measured candidate.

    Args:
        precisions: precision option by site name; missing sites are ``fp``.
        float_type: type of everything not quantized.
        timing_ms: end-to-end median with drift divided out.
        profile: executed nodes; their times are rescaled to add up to ``timing_ms``.
    """

    precisions: Mapping[str, str]
    float_type: str
    timing_ms: float
    profile: tuple[NodeProfile, ...]

    def __post_init__(self) -> None:
        if not self.timing_ms > 0 or not np.isfinite(self.timing_ms):
            raise EvaluationError(
                f"an observation has latency {self.timing_ms} ms; it must be positive and finite: measure "
                "again"
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; inverse of :meth:`from_json`."""
        rows = [[p.name, p.op, p.precision, p.ms, list(p.origins)] for p in self.profile]
        return {
            "precisions": dict(self.precisions),
            "float_type": self.float_type,
            "timing_ms": self.timing_ms,
            "profile": rows,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LatencyObservation:
        """Return the observation written by :meth:`to_json`."""
        profile = tuple(NodeProfile(n, op, p, float(ms), tuple(o)) for n, op, p, ms, o in data["profile"])
        return cls(dict(data["precisions"]), str(data["float_type"]), float(data["timing_ms"]), profile)


@dataclass(frozen=True)
class HeldOut:
    """Error on observations that took no part in the fit (cross-validation).

    Args:
        mape: mean absolute error relative to the measurement, a fraction.
        kendall_tau: rank correlation of predicted and measured.
        n: number of observations predicted.
    """

    mape: float
    kendall_tau: float
    n: int


@dataclass(frozen=True, eq=False)
class _Fit:
    """Unit coefficients and, per float type, the line from their sum to end-to-end milliseconds."""

    units: UnitModel
    lines: NDArray[np.float64]

    def predict(self, features: NDArray[np.float64], codes: SiteCodes) -> NDArray[np.float64]:
        total = self.units.predict(features, codes).sum(axis=1)
        offset, slope, tilt = self.lines[codes.floats].T
        share = codes.quantized.mean(axis=1) - 0.5
        return np.asarray(offset + (slope + tilt * share) * total, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class LatencyModel:
    """A fitted model; make one with :meth:`fit`.

    Args:
        sites: site names in graph order.
        classes: latency classes it knows, ``fp`` first.
        float_types: float types it knows.
        units: neighbourhoods of the fitted units.
        spread: relative standard deviation of held-out errors by float type, same order.
        held_out: cross-validated error.
        graph_fingerprint: of the graph it was fitted on.
    """

    sites: tuple[str, ...]
    classes: tuple[str, ...]
    float_types: tuple[str, ...]
    units: tuple[Neighborhood, ...]
    spread: tuple[float, ...]
    held_out: HeldOut
    graph_fingerprint: str
    _full: _Fit = field(repr=False)
    _folds: tuple[_Fit, ...] = field(repr=False)

    @classmethod
    def fit(
        cls, graph: ModelGraph, observations: Sequence[LatencyObservation], seed: int = 0
    ) -> LatencyModel:
        """Return the model learned from ``observations``; ``seed`` splits the folds.

        Raises:
            EvaluationError: fewer than 8 observations, or their profiles name no node of ``graph``.
        """
        if len(observations) < 8:
            raise EvaluationError(
                f"the latency model needs at least 8 measured candidates; got {len(observations)}: "
                "measure more"
            )
        sites = tuple(s.name for s in graph.sites)
        classes, floats = _vocabulary(observations)
        codes = SiteCodes.of(
            sites, classes, floats, [o.precisions for o in observations], [o.float_type for o in observations]
        )
        total = np.array([o.timing_ms for o in observations])
        names, times = _unit_times(graph, observations, total)
        units = tuple(neighborhoods(graph, names))
        features = FeatureMap(len(sites), units)
        matrix = features.matrix(codes.quantized)
        shape = (len(floats), len(classes))

        def units_of(rows: NDArray[np.int64]) -> UnitModel:
            return fit_units(units, features, matrix[rows], codes.take(rows), times[rows], shape)

        folds = _fold_numbers(observations, child_rng(seed, "latency", "folds"))
        n_folds = int(folds.max()) + 1
        fitted: list[tuple[UnitModel, NDArray[np.int64]]] = []
        raw = np.zeros(len(total))
        for fold in range(n_folds):
            inside, outside = np.nonzero(folds != fold)[0], np.nonzero(folds == fold)[0]
            model = units_of(inside)
            raw[outside] = model.predict(matrix[outside], codes.take(outside)).sum(axis=1)
            fitted.append((model, inside))
        lines = _lines(raw, total, codes, len(floats))
        parts = tuple(
            _Fit(model, _lines(raw[rows], total[rows], codes.take(rows), len(floats)))
            for model, rows in fitted
        )
        predicted = np.zeros(len(total))
        for fold, part in enumerate(parts):
            rows = np.nonzero(folds == fold)[0]
            predicted[rows] = part.predict(matrix[rows], codes.take(rows))
        error = (predicted - total) / total
        spread = tuple(
            float(np.sqrt(np.mean(error[codes.floats == f] ** 2))) if (codes.floats == f).any() else 1.0
            for f in range(len(floats))
        )
        return cls(
            sites=sites,
            classes=classes,
            float_types=floats,
            units=units,
            spread=spread,
            held_out=HeldOut(mape(predicted, total), kendall_tau(predicted, total), len(total)),
            graph_fingerprint=graph.fingerprint,
            _full=_Fit(units_of(np.arange(len(total))), lines),
            _folds=parts,
        )

    def predict(
        self, precisions: Sequence[Mapping[str, str]], float_types: Sequence[str]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and standard deviation in milliseconds, each (n,), of precision options by site name.

        Raises:
            EvaluationError: an option's class or a float type was never measured.
        """
        return self._predict(
            SiteCodes.of(self.sites, self.classes, self.float_types, precisions, float_types)
        )

    def predict_codes(
        self, space: SearchSpace, codes: NDArray[np.int64], float_type: str = "f32"
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and standard deviation in milliseconds, each (n,), for codes (n, n_dimensions).

        Args:
            space: the space the codes belong to; its other kinds of dimensions do not matter here.
            codes: option positions.
            float_type: used when the space has no dimension ``float:model``.

        Raises:
            EvaluationError: an option's class or a float type was never measured.
        """
        return self._predict(
            SiteCodes.of_space(self.sites, self.classes, self.float_types, space, codes, float_type)
        )

    def _predict(self, codes: SiteCodes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        matrix = FeatureMap(len(self.sites), self.units).matrix(codes.quantized)
        mean = np.maximum(self._full.predict(matrix, codes), 1e-6)
        members = np.stack([part.predict(matrix, codes) for part in self._folds])
        noise = np.asarray(self.spread)[codes.floats] * mean
        return mean, np.sqrt(noise**2 + members.var(axis=0))

    def tables(
        self, space: SearchSpace, *, float_type: str = "f32", seed: int = 0, max_pairs: int | None = None
    ) -> LatencyTables:
        """Return unary and pair terms over the dimensions of ``space``; see :func:`latency_tables`."""
        return latency_tables(self, space, float_type=float_type, seed=seed, max_pairs=max_pairs)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; inverse of :meth:`from_json`."""
        return {
            "schema": SCHEMA,
            "sites": list(self.sites),
            "classes": list(self.classes),
            "float_types": list(self.float_types),
            "units": [
                [u.unit, u.kind, u.own, u.work, u.size, list(u.singles), [list(g) for g in u.groups]]
                for u in self.units
            ],
            "spread": list(self.spread),
            "held_out": [self.held_out.mape, self.held_out.kendall_tau, self.held_out.n],
            "graph": self.graph_fingerprint,
            "fits": [
                {
                    "lines": f.lines.tolist(),
                    "levels": f.units.levels.tolist(),
                    "effects": f.units.effects.tolist(),
                }
                for f in (self._full, *self._folds)
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LatencyModel:
        """Return the model written by :meth:`to_json`.

        Raises:
            EvaluationError: the data has another schema.
        """
        if data.get("schema") != SCHEMA:
            raise EvaluationError(
                f"the stored latency model has schema {data.get('schema')}; this version reads {SCHEMA}: "
                "fit it again"
            )
        units = tuple(
            Neighborhood(
                str(name),
                str(kind),
                int(own),
                float(work),
                float(size),
                tuple(singles),
                tuple(map(tuple, groups)),
            )
            for name, kind, own, work, size, singles, groups in data["units"]
        )
        features = FeatureMap(len(data["sites"]), units)
        fits = tuple(
            _Fit(
                UnitModel(features, np.asarray(f["levels"]), np.asarray(f["effects"])),
                np.asarray(f["lines"], dtype=np.float64),
            )
            for f in data["fits"]
        )
        error, tau, n = data["held_out"]
        return cls(
            sites=tuple(data["sites"]),
            classes=tuple(data["classes"]),
            float_types=tuple(data["float_types"]),
            units=units,
            spread=tuple(data["spread"]),
            held_out=HeldOut(float(error), float(tau), int(n)),
            graph_fingerprint=str(data["graph"]),
            _full=fits[0],
            _folds=fits[1:],
        )


def _vocabulary(observations: Sequence[LatencyObservation]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the latency classes (``fp`` first) and float types that occur."""
    classes = {latency_class(p) for o in observations for p in o.precisions.values()} - {"fp"}
    return ("fp", *sorted(classes)), tuple(sorted({o.float_type for o in observations}))


def _unit_times(
    graph: ModelGraph, observations: Sequence[LatencyObservation], total: NDArray[np.float64]
) -> tuple[list[str], NDArray[np.float64]]:
    """Return unit names in graph order and their times (n, n_units), rows rescaled to add up to ``total``."""
    attributor = Attributor(graph)
    found = [attributor.times(o.profile) for o in observations]
    names = [n.name for n in graph.nodes if any(n.name in t for t in found)]
    times = np.array([[t.get(name, 0.0) for name in names] for t in found])
    if not names or (times.sum(axis=1) <= 0).any():
        raise EvaluationError(
            "a profile names no node of the graph, so its times cannot be attributed; profile the "
            "exported graph of "
            "the same traced model"
        )
    return names, times * (total / times.sum(axis=1))[:, None]


def _fold_numbers(observations: Sequence[LatencyObservation], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return a fold per observation (n,); repeats of one candidate share a fold."""
    keys = [(o.float_type, tuple(sorted(o.precisions.items()))) for o in observations]
    distinct = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    order = rng.permutation(len(distinct)) % min(_FOLDS, len(distinct))
    return np.array([order[distinct[key]] for key in keys], dtype=np.int64)


def _lines(
    raw: NDArray[np.float64], total: NDArray[np.float64], codes: SiteCodes, count: int
) -> NDArray[np.float64]:
    """Return (offset, slope, tilt) per float type, shape (count, 3)."""
    share = codes.quantized.mean(axis=1)
    rows = [codes.floats == f for f in range(count)]
    return np.array([huber_line(raw[r], total[r], share[r]) for r in rows])
