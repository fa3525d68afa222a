"""HAQ's MobileNetV2: a measured latency table, a stated damage, a budget; 53 layers of two widths each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from automl.core.budget import Budget
from automl.core.objective import Objective
from automl.core.rng import child_rng
from automl.searchspaces.dimension import Dimension
from automl.searchspaces.space import SearchSpace
from automl.strategies.base import AdditiveTables
from automl.strategies.base import Problem
from automl.testing.problems import SyntheticProblem

if TYPE_CHECKING:
    from pathlib import Path

FILE = "haq_mobilenetv2_latency_lut_53x8x8.npy"
BITS = tuple(range(8, 0, -1))


def haq_problem(folder: Path, seed: int, *, fraction: float = 0.6) -> SyntheticProblem:
    """Return the problem: 106 dimensions of 1 to 8 bits, latency by the table in pair terms.

    The damage is ours and the same for every seed: layer i with w and a bits costs
    ``s_i 4^-w + t_i 4^-a``, the noise power of uniform quantization and so convex in the bits, with s and t
    drawn from a log-normal distribution (sigma 1.2), for layers differ.

    Args:
        folder: holds the table, latency [layer, weight bits - 1, activation bits - 1].
        seed: of the strategy.
        fraction: the budget, as a fraction of the latency at 8 and 8 bits.
    """
    table = np.load(folder / FILE, allow_pickle=False)[:, ::-1, ::-1] / 1e6
    rng = child_rng(0, "damage")
    scale = rng.lognormal(sigma=1.2, size=(len(table), 2))
    noise = 4.0 ** -np.array(BITS, dtype=np.float64)
    dimensions: list[Dimension] = []
    damage: list[np.ndarray] = []
    for layer, (weight, activation) in enumerate(scale):
        site = f"layer{layer:02d}"
        dimensions += [Dimension(kind, site, BITS, 8) for kind in ("weight_bits", "activation_bits")]
        damage += [weight * noise, activation * noise]
    tables = AdditiveTables(
        {"kl": tuple(damage), "latency_ms": tuple(np.zeros(len(BITS)) for _ in dimensions)},
        {"latency_ms": {(2 * i, 2 * i + 1): row for i, row in enumerate(table)}},
    )
    limit = fraction * float(table[:, 0, 0].sum())
    problem = Problem(
        SearchSpace(tuple(dimensions)),
        (Objective("kl"), Objective("latency_ms")),
        (Budget(f"latency={fraction}x", "latency_ms", limit),),
        seed=seed,
        tables=tables,
    )

    def truth(codes: np.ndarray) -> np.ndarray:
        return np.stack([tables.predict(m, codes) for m in ("kl", "latency_ms")], axis=1)

    return SyntheticProblem(problem, truth, ("kl", "latency_ms"))
