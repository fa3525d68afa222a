"""OpenVINO timed by the processor's time instead of the wall's, for a machine that does other work meanwhile.

A single-threaded run that another job interrupts takes longer by the wall but not by the processor. The runs
are those of the product: interleaved bursts in alternating order after a warm-up, each burst after a run
that is not counted. Quality comes from the same compiled model, a sample at a time.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from automl.targets.openvino_backend import OpenVinoBackend
from automl.targets.openvino_target import OpenVinoTarget

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from automl.targets.openvino_backend import OpenVinoModel

WARM_UP, BURST, KEPT = 5, 4, 4


class ProcessorTimed(OpenVinoTarget):
    """The OpenVINO target with one thread whose times are processor times of this process."""

    def __init__(self) -> None:
        super().__init__(threads=1)
        self._backend = OpenVinoBackend(1)
        self._loaded: dict[tuple[str, str], OpenVinoModel] = {}

    def run_times(
        self, models: Sequence[tuple[Path, str]], inputs: Sequence[np.ndarray], *, repeats: int
    ) -> list[list[float]]:
        """Return single run times in ms of (file, float type) pairs, interleaved."""
        bound = [self._model(path, float_type, inputs).bind(inputs) for path, float_type in models]
        for run in bound:
            for _ in range(WARM_UP):
                run()
        samples: list[list[float]] = [[] for _ in bound]
        order = list(range(len(bound)))
        while len(samples[0]) < repeats:
            burst = min(BURST, repeats - len(samples[0]))
            for index in order:
                bound[index]()
                for _ in range(burst):
                    start = time.process_time_ns()
                    bound[index]()
                    samples[index].append((time.process_time_ns() - start) / 1e6)
            order.reverse()
        return samples

    def predict(
        self, model: Path, inputs: Sequence[np.ndarray], *, float_type: str, batch: int
    ) -> tuple[np.ndarray, ...]:
        """Return the outputs for all samples, run one by one whatever ``batch`` is."""
        del batch
        loaded = self._model(model, float_type, [a[:1] for a in inputs])
        outputs = [loaded.run([a[i : i + 1] for a in inputs]) for i in range(len(inputs[0]))]
        return tuple(np.concatenate(column).astype(np.float32) for column in zip(*outputs, strict=True))

    def _model(self, path: Path, float_type: str, inputs: Sequence[np.ndarray]) -> OpenVinoModel:
        key = (f"{path.resolve()} {path.stat().st_mtime_ns}", float_type)
        if key not in self._loaded:
            shapes = [list(a.shape) for a in inputs]
            self._loaded[key] = self._backend.load(
                str(path), float_type=float_type, shapes=shapes, profile=False
            )
        self._loaded[key] = self._loaded.pop(key)
        while len(self._loaded) > KEPT:
            del self._loaded[next(iter(self._loaded))]
        return self._loaded[key]
