from __future__ import annotations

import importlib.util

import pytest

from automl.config import make_config
from automl.core.errors import AutomlError
from automl.core.errors import BudgetError
from automl.core.errors import ConfigError
from automl.core.errors import MissingExtraError
from automl.core.errors import ModelError
from automl.execution.pool import available_cpus
from automl.searchspaces.dimension import Dimension
from automl.searchspaces.space import SearchSpace
from automl.stages.check import check_config
from automl.stages.check import check_measured
from automl.stages.check import check_sites
from automl.stages.check import check_space
from automl.stages.check import check_threads


def config(cache, **settings):
    return make_config({"model": "m", "cache": str(cache), **settings})


def test_valid_settings_pass(tmp_path):
    check_config(config(tmp_path, strategy="exact", target="openvino:isa=avx2", options=("w8a8",)))
    check_config(config(tmp_path, workers=available_cpus()))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"space": "precison"}, "did you mean 'precision'"),
        ({"strategy": "evolutionry"}, "did you mean 'evolutionary'"),
        ({"options": ("w8a9",)}, "did you mean 'w8a8'"),
        ({"target": "openvno"}, "did you mean 'openvino'"),
        ({"target": "openvino:isa=avx512"}, "did you mean 'avx512_core'"),
        ({"input": ("3by32",)}, "cannot read the input shape '3by32'"),
        ({"workers": available_cpus() + 1}, "does not fit this machine"),
        ({"workers": available_cpus() + 1, "executor": "ray"}, "does not fit this machine"),
        ({"threads": available_cpus() + 1}, "threads=.* does not fit this machine"),
        ({"ray_address": "auto"}, "add --executor ray"),
        ({"executor": "ray", "ray_address": "127.0.0.1:1"}, "cannot reach the cluster at '127.0.0.1:1'"),
        ({"estimate": "h10"}, "did you mean 'h100'"),
        ({"estimate": "h100", "budget": "memory=50MB"}, "memory is measured on this machine"),
        ({"storage": "run.db"}, "the storage 'run.db' is no URL"),
    ],
)
def test_what_no_model_could_make_valid_is_refused(tmp_path, settings, says):
    with pytest.raises(AutomlError, match=says):
        check_config(config(tmp_path, **settings))


def test_threads_may_be_all_or_any_of_the_processors(tmp_path):
    check_threads(None)
    for threads in range(1, available_cpus() + 1):
        check_config(config(tmp_path, threads=threads))
    with pytest.raises(ConfigError, match=f"from 1 to {available_cpus()}"):
        check_threads(0)


def test_a_cluster_may_have_more_processors_than_this_machine(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("automl.execution.ray_executor.probe_cluster", asked.append)
    check_config(config(tmp_path, workers=500, executor="ray", ray_address="10.0.0.1:6379"))
    assert asked == ["10.0.0.1:6379"]


def test_a_missing_package_is_named_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip install openvino"):
        check_config(config(tmp_path))


def test_tables_that_cannot_be_kept_are_refused_before_they_are_computed(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--cache"):
        check_config(config(tmp_path / "file" / "tables"))


def test_a_model_without_layers_has_nothing_to_search():
    check_sites(1, "m")
    with pytest.raises(ModelError, match="'m' has no convolution"):
        check_sites(0, "m")


def test_options_that_leave_the_untouched_model_alone_are_refused():
    def space(*options):
        return SearchSpace((Dimension("precision", "head", options, "fp"),))

    check_space(space("fp", "w8a8"), "m")
    with pytest.raises(ConfigError, match=r"nothing to choose for 'm'; allow others with --option"):
        check_space(space("fp"), "m")


@pytest.mark.parametrize(
    ("budget", "task", "labelled", "says"),
    [
        ("accuracy>=0.7", "image-classification", False, "needs labels"),
        ("perplexity=1.1x", "image-classification", True, "perplexity is not measured"),
        ("agreement>=99%", "encoder", False, "agreement is not measured"),
        ("psnr>=30dB", "encoder", False, "psnr_db is not measured"),
    ],
)
def test_a_budget_on_what_is_not_measured_is_refused(budget, task, labelled, says):
    with pytest.raises(BudgetError, match=says):
        check_measured(make_config({"model": "m", "budget": budget}), task, labelled)


@pytest.mark.parametrize("task", ["image-classification", "causal-lm", "encoder", "generic"])
def test_speed_size_and_memory_can_be_limited_for_every_task(task):
    budgets = ["latency=1ms", "size=1MB", "memory=0.5x", "macs=1M", "bops=1G", "bits=4", "drop=1%"]
    check_measured(make_config({"model": "m", "budget": budgets}), task, False)


def test_the_metrics_of_each_task_are_those_its_quality_gives():
    import numpy as np

    from automl.evaluators.quality import score

    rng = np.random.default_rng(0)
    flat = rng.standard_normal((8, 5)).astype(np.float32)
    tokens = rng.standard_normal((2, 6, 5)).astype(np.float32)
    cases = {
        ("image-classification", True): score("image-classification", flat, flat, np.arange(8) % 5),
        ("image-classification", False): score("image-classification", flat, flat),
        ("causal-lm", False): score("causal-lm", tokens, tokens, rng.integers(0, 5, (2, 6))),
        ("encoder", False): score("encoder", flat, flat),
        ("generic", False): score("generic", flat, flat),
    }
    texts = {
        "accuracy": "accuracy>=0.1",
        "agreement": "agreement>=0.1",
        "kl": "kl=1",
        "perplexity": "perplexity=2x",
        "cosine": "cosine>=0.1",
        "psnr_db": "psnr>=3dB",
        "drop": "drop=1%",
    }
    for (task, labelled), metrics in cases.items():
        for metric, text in texts.items():
            stated = make_config({"model": "m", "budget": text})
            if metric in metrics:
                check_measured(stated, task, labelled)
            else:
                with pytest.raises(BudgetError):
                    check_measured(stated, task, labelled)


def test_resources_of_workers_are_checked_before_anything_is_measured():
    with pytest.raises(ConfigError, match="cannot read the resource 'CPU' of a worker"):
        check_config(make_config({"model": "m", "workers_resources": "CPU"}))
    with pytest.raises(ConfigError, match="timing resource 'timing' is not used by executor 'local'"):
        check_config(make_config({"model": "m", "timing_resource": "timing"}))
