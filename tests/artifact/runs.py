"""A made-up but plausible run for tests of the report: EfficientNet-like sites under two budgets."""

from __future__ import annotations

import numpy as np

from automl.artifact.report_data import BudgetLine
from automl.artifact.report_data import PredictionCheck
from automl.artifact.report_data import PredictionPoint
from automl.artifact.report_data import ReportData
from automl.artifact.report_data import ReportTrial
from automl.artifact.report_data import SensitivityTable
from automl.artifact.report_data import SiteChoice
from automl.artifact.report_data import StruckOption
from automl.core.curve import CurveSeries
from automl.core.curve import LearningCurve
from automl.core.measurement import Metric

OPTIONS = ("fp", "w8a8", "w4a8")


def _trial(number: int, latency: float, accuracy: float, size: float, **facts) -> ReportTrial:
    half = 0.012
    metrics = {
        "latency_ms": Metric(latency, "ms", latency * 0.985, latency * 1.02, 60),
        "accuracy": Metric(accuracy, "", accuracy - half, min(1.0, accuracy + half), 500),
        "size_bytes": Metric(size, "B"),
        "kl": Metric((0.885 - accuracy) ** 2 + 1e-4, "nat"),
    }
    budgets = {"latency=0.7x": latency <= 4.4, "accuracy>=0.84": accuracy >= 0.84}
    facts = {"fidelity": "full", "origin": "evolutionary", "seconds": 2.4, **facts}
    return ReportTrial(
        number, f"{number:016x}", f"w8a8 x {number % 40}, fp x 9", metrics=metrics, budgets=budgets, **facts
    )


def _policy_curve(updates: int) -> LearningCurve:
    rng, steps = np.random.default_rng(8), np.arange(float(updates))
    entropy = 0.4 + 0.7 * np.exp(-steps / 20) + rng.normal(0, 0.02, updates)
    reward = 2 - 2 * np.exp(-steps / 15) + rng.normal(0, 0.4, updates)
    series = (
        CurveSeries("entropy", "entropy of a decision, nats", tuple(entropy.tolist())),
        CurveSeries("reward", "reward, standard deviations of the first batch", tuple(reward.tolist())),
    )
    return LearningCurve(
        "policy of controller", "Means of an update.", "updates of the policy", tuple(steps.tolist()), series
    )


def _prediction_curve(rows: int) -> LearningCurve:
    steps = tuple(8.0 * (i + 1) for i in range(rows))
    error = "mean error of latency_ms, ms"
    series = (
        CurveSeries("learned", error, tuple(0.3 / s for s in steps)),
        CurveSeries("plain prediction", error, (0.02,) * rows),
        CurveSeries("95 % interval", "measured within the 95 % interval, %", (95.0,) * rows),
    )
    return LearningCurve(
        "prediction of latency_ms", "Means of the last 64.", "predictions made", steps, series
    )


def example_run(*, title: str = "efficientnet_lite0", n_trials: int = 90, n_sites: int = 49) -> ReportData:
    """Return a run with trial 0, a front of eight, dominated and failed trials."""
    rng = np.random.default_rng(7)
    trials = [_trial(0, 6.3, 0.884, 18.6e6, origin="baseline", fidelity="confirmed")]
    curve = [
        (2.9, 0.822),
        (3.05, 0.846),
        (3.3, 0.861),
        (3.6, 0.8700),
        (3.9, 0.876),
        (4.25, 0.8805),
        (4.9, 0.8825),
        (5.6, 0.8838),
    ]
    front = {}
    for i, (latency, accuracy) in enumerate(curve):
        number = 10 * i + 5
        front[number] = _trial(
            number,
            latency,
            accuracy,
            4.6e6 + 1.4e6 * i,
            on_front=True,
            pick=i == 5,
            fidelity="confirmed",
            origin="exact",
        )
    for number in range(1, n_trials):
        if number in front:
            trials.append(front[number])
        elif number % 29 == 0:
            trials.append(
                ReportTrial(
                    number, f"{number:016x}", origin="evolutionary", failure="w4g64 is not legal here"
                )
            )
        else:
            t = rng.uniform(0, 1)
            latency, accuracy = (
                3.0 + 2.9 * t + rng.exponential(0.35),
                0.885 - 0.07 * (1 - t) ** 2 - rng.exponential(0.012),
            )
            trials.append(_trial(number, latency, accuracy, 5e6 + 1e7 * t))
    sites = tuple(f"blocks.{i // 4}.{i % 4}.conv_pw" for i in range(n_sites))
    choices = {}
    for i, number in enumerate(front):
        share = i / 8
        options = [
            ("fp" if rng.uniform() < share else "w4a8" if rng.uniform() < 0.35 - share / 3 else "w8a8")
            for _ in sites
        ]
        choices[number] = tuple(
            SiteChoice(
                s,
                o,
                "w8a8" if o != "w8a8" else "fp",
                float(rng.normal(0, 0.05)),
                float(rng.exponential(1e-3)),
                int(2e6 + 1.5e7 * rng.uniform() ** 3),
                int(1e4 + 2e5 * k / n_sites),
            )
            for k, (s, o) in enumerate(zip(sites, options, strict=True))
        )
    loss = tuple(
        (0.0, float(10 ** rng.uniform(-5, -3)), None if k % 13 == 0 else float(10 ** rng.uniform(-3.5, -1)))
        for k in range(n_sites)
    )
    measured = rng.uniform(3, 6, 40)
    points = tuple(
        PredictionPoint(float(m * rng.normal(1, 0.04)), float(m), bool(k > 9), None)
        for k, m in enumerate(measured)
    )
    volume = np.cumsum(np.r_[0.4, rng.exponential(0.02, 60) * np.linspace(1, 0.02, 60)])
    return ReportData(
        title=title,
        subtitle="openvino 2026.4, 2 threads, batch 1, 3 x 224 x 224, AMD EPYC",
        objectives=("latency_ms", "accuracy"),
        trials=tuple(trials),
        budgets=(
            BudgetLine("latency=0.7x", "latency_ms", 4.41),
            BudgetLine("accuracy>=0.84", "accuracy", 0.84, at_least=True),
        ),
        choices=choices,
        sensitivity=SensitivityTable(sites, OPTIONS, loss, "KL divergence to the original"),
        prediction=PredictionCheck(points, 0.041, 0.91, 0.16, 0.66, 0.012),
        hypervolume=tuple((i, float(v)) for i, v in enumerate(volume)),
        curves=(_policy_curve(60), _prediction_curve(12)),
        phases=(
            ("load and trace", 6.1),
            ("sensitivity", 44.0),
            ("latency model", 71.5),
            ("search", 62.0),
            ("confirm", 38.2),
        ),
        struck=(StruckOption("conv_stem", "w4g64", "group quantization needs a matrix layer"),),
        environment=(("python", "3.11.2"), ("openvino", "2026.4")),
        config=(("seed", "0"), ("strategy", "evolutionary")),
        notes=("Weights below 8 bits save bytes, not time, on this target.",),
        created="2026-01-01 12:00 UTC",
    )
