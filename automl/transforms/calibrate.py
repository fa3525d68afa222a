"""Calibration: one pass over samples that collects what choosing ranges, rounding and biases needs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from dataclasses import field
from typing import TYPE_CHECKING
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import fx

from automl.core.errors import ArtifactError
from automl.core.errors import DataError
from automl.core.rng import child_rng
from automl.transforms.plan_builder import quantizable_values
from automl.transforms.ranges_math import add_to_histogram
from automl.transforms.site_rows import SiteRows
from automl.transforms.site_rows import site_rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from automl.core.samples import Samples
    from automl.searchspaces.graph import TracedModel

__all__ = [
    "Calibration",
    "RowMoments",
    "ValueHistogram",
    "calibrate",
    "choose_positions",
    "held_out",
    "rows_per_sample",
]

N_BINS = 8192
FORMAT = 1
#: Columns above which a site's Gram matrix (100 MB at float32) is not collected.
MAX_COLUMNS = 5000
#: Rows a site's moments are taken over: this many for each column, but not fewer than the minimum.
ROWS_PER_COLUMN = 32
MIN_ROWS = 4096
#: Every fourth sample judges what the other three fitted.
HOLD = 4


@dataclass(frozen=True, eq=False)
class ValueHistogram:
    """Distribution of a value.

    Args:
        counts: (n_bins,) over [-reach, reach].
        reach: half width.
        low: least value seen.
        high: greatest value seen.
    """

    counts: NDArray[np.float64]
    reach: float
    low: float
    high: float

    def add(self, values: NDArray[Any]) -> ValueHistogram:
        """Return the histogram with values added."""
        counts, reach = add_to_histogram(self.counts, self.reach, values)
        return ValueHistogram(
            counts, reach, min(self.low, float(values.min())), max(self.high, float(values.max()))
        )

    @classmethod
    def empty(cls, n_bins: int = N_BINS) -> ValueHistogram:
        """Return a histogram of nothing."""
        return cls(np.zeros(n_bins), 0.0, np.inf, -np.inf)


@dataclass(frozen=True, eq=False)
class RowMoments:
    """Mean and Gram matrix of a site's input rows.

    Args:
        gram: (groups, columns, columns) mean of ``x x^T``, float32.
        mean: (groups, columns).
        count: rows seen.
    """

    gram: NDArray[np.float32]
    mean: NDArray[np.float32]
    count: int

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Gram matrix about the mean."""
        mean = self.mean.astype(np.float64)
        return self.gram - mean[:, :, None] * mean[:, None, :]


@dataclass(frozen=True, eq=False)
class Calibration:
    """What one pass over the calibration samples saw.

    Args:
        values: histogram of each value that may be quantized.
        moments: moments of each site's input rows over three quarters of the samples.
        held: the same over the last quarter, to judge what was fitted on the rest.
        n_samples: calibration samples.
        seed: seed of the sampled positions.
    """

    values: Mapping[str, ValueHistogram]
    moments: Mapping[str, RowMoments]
    held: Mapping[str, RowMoments]
    n_samples: int
    seed: int = 0
    skipped: Mapping[str, str] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write an npz file that :meth:`load` reads; no pickle."""
        arrays: dict[str, NDArray[Any]] = {}
        index: dict[str, Any] = {"format": FORMAT, "n_samples": self.n_samples, "seed": self.seed}
        index["skipped"] = dict(self.skipped)
        index["values"] = list(self.values)
        for i, value in enumerate(self.values.values()):
            arrays[f"v{i}c"] = value.counts
            arrays[f"v{i}r"] = np.array([value.reach, value.low, value.high])
        for name, table in (("moments", self.moments), ("held", self.held)):
            index[name] = [[site, m.count] for site, m in table.items()]
            for i, moments in enumerate(table.values()):
                arrays[f"{name}{i}g"], arrays[f"{name}{i}m"] = moments.gram, moments.mean
        arrays["index"] = np.frombuffer(json.dumps(index).encode(), dtype=np.uint8)
        with path.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read what :meth:`save` wrote.

        Raises:
            ArtifactError: the file is damaged or of another format.
        """
        try:
            with np.load(path, allow_pickle=False) as z:
                index = json.loads(z["index"].tobytes())
                if index["format"] != FORMAT:
                    raise ArtifactError(
                        f"calibration file '{path}' has format {index['format']}; this version reads {FORMAT}"
                    )
                values = {
                    name: ValueHistogram(z[f"v{i}c"], *map(float, z[f"v{i}r"]))
                    for i, name in enumerate(index["values"])
                }
                tables = [
                    {s: RowMoments(z[f"{t}{i}g"], z[f"{t}{i}m"], n) for i, (s, n) in enumerate(index[t])}
                    for t in ("moments", "held")
                ]
        except (OSError, KeyError, ValueError, BadZipFile) as error:
            raise ArtifactError(
                f"calibration file '{path}' cannot be read ({error}); calibrate again"
            ) from error
        return cls(values, tables[0], tables[1], index["n_samples"], index["seed"], index["skipped"])


def rows_per_sample(columns: int, n_samples: int, max_rows: int) -> int:
    """Return how many rows of each sample a site's moments need: 32 rows a column, at least 4096 in all."""
    return max(1, min(max_rows, max(MIN_ROWS, ROWS_PER_COLUMN * columns)) // n_samples)


def choose_positions(available: int, wanted: int, seed: int, site: str, batch: int) -> NDArray[np.int64]:
    """Return at most ``wanted`` sorted output positions of a site, the same for every sample of a batch."""
    if available <= wanted:
        return np.arange(available)
    rng = child_rng(seed, "rows", site, batch)
    return np.sort(rng.choice(available, size=wanted, replace=False))


def held_out(start: int, n: int) -> NDArray[np.bool_]:
    """Return which of samples ``start..start+n-1`` judge rather than fit."""
    held: NDArray[np.bool_] = np.arange(start, start + n) % HOLD == HOLD - 1
    return held


def calibrate(
    traced: TracedModel,
    samples: Samples,
    *,
    seed: int = 0,
    batch: int = 32,
    max_rows: int = 32768,
) -> Calibration:
    """Run the float model once over the samples and collect histograms and row moments.

    Args:
        traced: the model.
        samples: calibration inputs; labels are not read.
        seed: seed of the sampled convolution positions.
        batch: samples run together (the example's batch when the model fixes it).
        max_rows: rows that enter a site's moments; positions are sampled to stay below it.

    Raises:
        DataError: fewer than one batch of the size the model was traced for.
    """
    size = batch if traced.dynamic_batch else traced.example_inputs[0].shape[0]
    if len(samples) < size and not traced.dynamic_batch:
        raise DataError(f"{len(samples)} calibration samples; the model takes batches of {size}: give more")
    collector = _Collector(traced, len(samples), seed, max_rows)
    with torch.inference_mode():
        for index, arrays in enumerate(samples.batches(size)):
            if len(arrays[0]) == size or traced.dynamic_batch:
                collector.take(
                    index, index * size, tuple(torch.from_numpy(np.ascontiguousarray(a)) for a in arrays)
                )
    return collector.result(len(samples), seed)


class _Moments:
    """Running sums of one site's rows."""

    def __init__(self, rows: SiteRows) -> None:
        self.gram = np.zeros((rows.groups, rows.columns, rows.columns))
        self.total = np.zeros((rows.groups, rows.columns))
        self.count = 0

    def add(self, x: torch.Tensor) -> None:
        self.gram += (x.transpose(1, 2) @ x).numpy()
        self.total += x.sum(dim=1).numpy()
        self.count += x.shape[1]

    def result(self) -> RowMoments:
        n = max(self.count, 1)
        return RowMoments((self.gram / n).astype(np.float32), (self.total / n).astype(np.float32), self.count)


class _Collector(fx.Interpreter):
    """Interpreter that looks at the values it computes."""

    def __init__(self, traced: TracedModel, n_samples: int, seed: int, max_rows: int) -> None:
        super().__init__(traced.module)
        self.seed = seed
        self.n_samples = n_samples
        self.max_rows = max_rows
        self.values = {name: ValueHistogram.empty() for name in quantizable_values(traced.graph)}
        self.skipped: dict[str, str] = {}
        self.rows: dict[str, tuple[str, SiteRows]] = {}
        by_name = {n.name: n for n in traced.module.graph.nodes}
        for site in traced.graph.sites:
            rows = site_rows(site, by_name[site.node])
            if rows is None or rows.columns > MAX_COLUMNS:
                why = "no matrix view" if rows is None else f"{rows.columns} columns"
                self.skipped[site.name] = f"{why}: rounded to nearest"
            else:
                self.rows[site.node] = (site.name, rows)
        self.fit = {name: _Moments(rows) for name, rows in self.rows.values()}
        self.held = {name: _Moments(rows) for name, rows in self.rows.values()}
        self.by_position = n_samples < 2 * HOLD
        self.index = self.start = 0

    def take(self, index: int, start: int, inputs: tuple[torch.Tensor, ...]) -> None:
        self.index, self.start = index, start
        self.run(*inputs)

    def run_node(self, n: fx.Node) -> Any:
        if n.name in self.rows:
            self._see_rows(n)
        result = super().run_node(n)
        if n.name in self.values and isinstance(result, torch.Tensor) and result.is_floating_point():
            self._see_value(n.name, result)
        return result

    def _see_value(self, name: str, value: torch.Tensor) -> None:
        low, high = (float(t) for t in torch.aminmax(value))
        flat = value.reshape(-1)
        step = max(1, flat.numel() // 262_147)
        seen = self.values[name].add(flat[::step].numpy())
        self.values[name] = ValueHistogram(seen.counts, seen.reach, min(seen.low, low), max(seen.high, high))

    def _see_rows(self, n: fx.Node) -> None:
        name, rows = self.rows[n.name]
        x = self.env[n.all_input_nodes[0]]
        wanted = rows_per_sample(rows.columns, self.n_samples, self.max_rows)
        chosen = choose_positions(rows.positions(x), wanted, self.seed, name, self.index)
        found = rows.inputs(x, chosen)
        held = held_out(self.start, len(x))
        if self.by_position:
            found = found.reshape(found.shape[0], -1, 1, rows.columns)
            held = held_out(0, found.shape[1])
        for mask, moments in ((~held, self.fit[name]), (held, self.held[name])):
            part = found[:, torch.from_numpy(mask)]
            moments.add(part.reshape(part.shape[0], -1, rows.columns))

    def result(self, n_samples: int, seed: int) -> Calibration:
        return Calibration(
            self.values,
            {k: v.result() for k, v in self.fit.items()},
            {k: v.result() for k, v in self.held.items()},
            n_samples,
            seed,
            self.skipped,
        )
