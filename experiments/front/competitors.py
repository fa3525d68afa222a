"""What the front is compared with: uniform configurations, and additive answers priced by the plain sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from automl.core.candidate import Candidate
from automl.evaluators.latency_plain import PlainSum
from automl.searchspaces.space import SearchSpace
from automl.stages.price import site_damage
from automl.stages.problem import uniform_candidates
from automl.strategies.base import AdditiveTables
from automl.strategies.milp_math import MilpProgram

if TYPE_CHECKING:
    from side_by_side import Bench
    from side_by_side import Built

    from automl.stages.price import Prices


def additive_programs(bench: Bench, prices: Prices, space: SearchSpace) -> dict[str, MilpProgram]:
    """Return one program a float type: the run's damages, and latency as the plain per-layer sum."""
    plain = PlainSum.from_profiles(bench.bench.traced.graph, prices.observations)
    programs = {}
    for float_type in bench.float_types:
        base = plain.base_ms[float_type]
        damage, cost = [], []
        for d in space.dimensions:
            rows = [dict.fromkeys(d.sites, str(o)) for o in d.options]
            cost.append(plain.predict(rows, [float_type] * len(rows)) - base)
            damage.append(np.array([site_damage(prices, d.sites, str(o)) for o in d.options]))
        constant = {"damage": prices.float_damage[float_type], "latency_ms": base}
        tables = AdditiveTables({"damage": tuple(damage), "latency_ms": tuple(cost)}, constant=constant)
        programs[float_type] = MilpProgram(tables)
    return programs


def additive_answers(bench: Bench, prices: Prices, count: int) -> list[tuple[str, float, Candidate]]:
    """Return (budget, plain latency, candidate) of the exact answers, of the float type with less damage.

    The budgets go in equal ratios from the fastest configuration up to the slowest float model, without it.
    """
    space = SearchSpace(tuple(d for d in bench.bench.space.dimensions if d.kind != "float"))
    programs = additive_programs(bench, prices, space)
    slow = max(p.tables.constant["latency_ms"] for p in programs.values())
    fast = min(p.solve({"latency_ms": 1.0}, {}).value for p in programs.values())
    answers = []
    for limit in np.geomspace(fast, slow, count + 1)[:-1] * (1 + 1e-9):
        found = {t: p.solve({"damage": 1.0}, {"latency_ms": float(limit)}) for t, p in programs.items()}
        best = min((t for t, s in found.items() if s.code is not None), key=lambda t: found[t].value)
        code = found[best].code
        chosen = dict(space.decode(code).as_dict)
        if len(bench.float_types) > 1:
            chosen["float:model"] = best
        predicted = float(programs[best].tables.predict("latency_ms", code[None])[0])
        answers.append((f"{limit:.2f} ms", predicted, Candidate.of(chosen)))
    return answers


def competitors(
    bench: Bench, everything: Bench, prices: Prices, count: int
) -> tuple[list[Built], dict[str, float]]:
    """Return the float models, then uniform and additive ones, plain and repaired; digest -> plain latency.

    Args:
        bench: of the run, with the options it searched.
        everything: the same with every option of the target.
        prices: of the run.
        count: budgets of the additive program.
    """
    rows, plain = everything.floats(), {}
    floats = {row.candidate.digest for row in rows}
    for name, candidate in uniform_candidates(everything.bench.space):
        if candidate.digest not in floats:
            rows += [everything.build("uniform", name, candidate, repair=r) for r in (False, True)]
    for name, predicted, candidate in additive_answers(bench, prices, count):
        if candidate.digest not in plain:
            plain[candidate.digest] = predicted
            rows += [bench.build("additive", name, candidate, repair=r) for r in (False, True)]
    return rows, plain
