from __future__ import annotations

import shutil

import pytest

from automl.core.errors import ArtifactError
from automl.core.errors import ConfigError
from automl.execution.pool import available_cpus
from automl.stages.bench import measure_side_by_side


def measured(*models, **changes):
    settings = {"data": None, "target": "openvino", "repeats": 5, "evaluation": 10, "threads": 1, "batch": 1}
    return measure_side_by_side([str(m) for m in models], **{**settings, **changes})


def test_a_run_folder_is_no_model_and_its_models_are_named(digits_run):
    with pytest.raises(ConfigError, match=r"is a run folder; name one of its models.*models/ID"):
        measured(digits_run.folder)


def test_an_artifact_without_its_manifest_is_a_damaged_artifact(digits_run, tmp_path):
    folder = shutil.copytree(digits_run.folder / digits_run.best.member.artifact, tmp_path / "a")
    (folder / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        measured(folder)


def test_more_threads_than_processors_are_refused_before_a_model_is_loaded():
    with pytest.raises(ConfigError, match="does not fit this machine"):
        measured("no_such_model", threads=available_cpus() + 1)


def test_models_of_different_origin_are_not_compared(digits_run, digits_data):
    folder = str(digits_run.folder / digits_run.best.member.artifact)
    with pytest.raises(ConfigError, match="different origin"):
        measured("tests.digits:build_wide", folder, data=str(digits_data))
