"""HAWQ-V3's 18 bit-allocation problems: the published inputs as search problems, and their optimum.

The data (``hawq_v3_ilp.json``) is found through AUTOML_SHARED_DATA or ``../shared/data`` beside the
checkout.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from automl.strategies.base import AdditiveTables
from automl.strategies.table import make_strategy
from automl.testing.problems import SyntheticProblem
from automl.testing.problems import integer_space
from automl.testing.problems import table_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
FRACTIONS = (0.25, 0.5, 0.75)


@dataclass(frozen=True, eq=False)
class Instance:
    """One of the 18 problems.

    Args:
        name: model, cost and fraction.
        unary: for ``kl`` and ``size_bytes`` one pair of prices a tied group: (at 8 bit, at 4 bit).
        limit: of the cost.
        published: objective of the published assignment, as the notebook counts it.
        offset: added to the problem's value to get the notebook's objective.
    """

    name: str
    unary: dict[str, tuple[np.ndarray, ...]]
    limit: float
    published: float
    offset: float

    def problem(self, seed: int, *, give_tables: bool) -> SyntheticProblem:
        tables = AdditiveTables(self.unary)
        space = integer_space([2] * len(self.unary["kl"]))
        return table_problem(space, tables, limit=self.limit, seed=seed, give_tables=give_tables)


def data_file() -> Path | None:
    """Return the data file, or None when it is not there."""
    folders = [os.environ.get("AUTOML_SHARED_DATA"), HERE.parents[2] / "shared" / "data"]
    found = [Path(f) / "hawq_v3_ilp.json" for f in folders if f]
    return next((f for f in found if f.is_file()), None)


def instances(data: dict[str, Any]) -> list[Instance]:
    """Return the 18 problems; pairs that must share a bit width are one dimension."""
    found = []
    for model in ("resnet18", "resnet50"):
        row = {k: np.array(v) for k, v in data[model].items() if isinstance(v, list) and k != "eq_pairs"}
        gain = row["Hutchinson_trace"] * (row["delta_weights_8bit_square"] - row["delta_weights_4bit_square"])
        costs = {
            "modelsize": (row["parameters"] * 0.5, row["parameters"] * 1.0),
            "bops": (row["bops"] / 64, row["bops"] / 16),
            "latency": (row["latency_int4"], row["latency_int8"]),
        }
        tied = {second: first for first, second in data[model]["eq_pairs"]}
        groups = [[i, *(s for s, f in tied.items() if f == i)] for i in range(len(gain)) if i not in tied]
        for cost, (at4, at8) in costs.items():
            for fraction in FRACTIONS:
                is8 = np.array(data[model]["published_is8"][f"{cost}_{fraction}"], dtype=bool)
                # the notebook maximizes what 8 bits gain over 4; as a loss that is 0 at 8 bits and -gain at 4
                unary = {
                    "kl": tuple(np.array([0.0, -gain[g].sum()]) for g in groups),
                    "size_bytes": tuple(np.array([at8[g].sum(), at4[g].sum()]) for g in groups),
                }
                limit = float(at4.sum() + (at8.sum() - at4.sum()) * fraction)
                found.append(
                    Instance(
                        f"{model}/{cost}/{fraction}", unary, limit, float(gain[is8].sum()), float(gain.sum())
                    )
                )
    return found


def solve_exact(instance: Instance) -> float:
    """Return the notebook's objective of the first candidate ``exact`` proposes."""
    problem = instance.problem(0, give_tables=True)
    strategy = make_strategy("exact", problem.problem)
    measured = problem.measure(strategy.ask(1))[0]
    if measured["size_bytes"].value > instance.limit:
        raise AssertionError(f"{instance.name}: the exact answer breaks its limit")
    return measured["kl"].value + instance.offset


def progress(
    name: str, instance: Instance, seed: int, evaluations: int, *, batch: int, give_tables: bool
) -> Iterator[tuple[int, float]]:
    """Run a strategy and yield (evaluations spent, best feasible objective so far) after every evaluation.

    Ends early when the strategy has no more to propose; the objective is infinite until one is feasible.
    """
    problem = instance.problem(seed, give_tables=give_tables)
    strategy = make_strategy(name, problem.problem)
    best, spent = float("inf"), 0
    while spent < evaluations:
        candidates = strategy.ask(min(batch, evaluations - spent))
        if not candidates:
            return
        trials = problem.trials(candidates, spent)
        strategy.tell(trials)
        for trial in trials:
            spent += 1
            if trial.value("size_bytes") <= instance.limit:
                best = min(best, trial.value("kl") + instance.offset)
            yield spent, best
