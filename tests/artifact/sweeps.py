"""A made-up sweep for tests of its data, picture and page: two strategies, two seeds, one failed cell."""

from __future__ import annotations

from automl.artifact.sweep_data import CellRow
from automl.artifact.sweep_data import FrontPoint
from automl.artifact.sweep_data import SweepReport
from automl.artifact.sweep_data import summarize


def cell(strategy="random", seed=0, points=((0.5, 0.8, True),), **facts):
    """Return a finished cell whose front has (latency ratio, accuracy, pick) points."""
    front = tuple(FrontPoint(f"m{i}", *point) for i, point in enumerate(points))
    best = next((p for p in front if p.pick), None)
    given = {
        "name": f"net.{strategy}.{seed}",
        "model": "net",
        "target": "openvino",
        "budget": "latency=0.6x",
        "state": "done",
        "seconds": 10.0,
        "metric": "accuracy",
        "front": front,
        "best": best,
        "size_ratio": None if best is None else 0.25,
        "trials": 12,
        "failed_trials": 1,
        **facts,
    }
    return CellRow(strategy=strategy, seed=seed, **given)


def example_sweep(title="nightly"):
    """Return a report with every state."""
    rows = (
        cell("random", 0, ((0.5, 0.70, True), (0.4, 0.60, False)), link="cells/net.random.0/report.html"),
        cell("random", 1, ((0.6, 0.80, True),)),
        cell("evolutionary", 0, ((0.4, 0.80, True), (0.3, 0.65, False))),
        cell("evolutionary", 1, (), state="failed", reason="no <model> here", metric="", trials=0),
        cell("exact", 0, ((0.7, 0.75, False),)),
        cell("exact", 1, (), state="pending", metric="", trials=0),
    )
    return SweepReport(title, rows, summarize(rows), (("effort", "quick"),), "2026-01-01T00:00:00+00:00")
