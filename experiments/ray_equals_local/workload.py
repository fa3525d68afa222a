"""A worker's real job: the quality of mixed candidates of EfficientNet-Lite0, as a search evaluates them."""

from __future__ import annotations

import shutil
from functools import partial

from automl.config import make_config
from automl.core.rng import child_rng
from automl.execution.base import Job
from automl.stages.evaluate import work
from automl.stages.events import silent
from automl.stages.execute import build_worker
from automl.stages.prepare import prepare

__all__ = ["Workload"]


class Workload:
    """Builds workers and their jobs; a run of two workers gives each of them one thread and one core.

    Args:
        folder: holds the run and the tables.
    """

    def __init__(self, folder):
        self.folder = folder
        self.config = make_config({"model": "efficientnet_lite0", "budget": "latency=0.7x", "workers": 2})
        bench = prepare(self.config, folder / "run", folder / "tables", silent)
        self.key, self.space = bench.key, bench.space
        bench.target.close()
        bench.quality_target.close()

    def start(self, executor, name):
        """Start an executor with tables of its own, so that nobody finds another's evaluations."""
        cache, run = self.folder / f"tables-{name}", self.folder / f"run-{name}"
        shutil.copytree(self.folder / "tables", cache)
        executor.start(partial(build_worker, self.config, run, cache, 1.0, self.key), work)

    def jobs(self, tag, count):
        """Return jobs on candidates that only ``tag`` decides."""
        codes = self.space.sample(child_rng(0, tag), count)
        return [
            Job(
                f"{tag}-{number}",
                {
                    "candidate": candidate.as_dict,
                    "fidelity": "subset",
                    "stage": "quality",
                },
            )
            for number, candidate in enumerate(self.space.decode(row) for row in codes)
        ]
