"""Bench: models measured again, interleaved in one sitting, the first as the reference."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from automl.artifact.load import load_artifact
from automl.core.errors import ConfigError
from automl.core.measurement import Measurement
from automl.core.measurement import Metric
from automl.core.rng import child_seed
from automl.data.loading import load_data
from automl.evaluators.quality import quality_targets
from automl.evaluators.quality import score
from automl.models.checks import parse_input_shape
from automl.models.loading import load_model
from automl.searchspaces.trace import trace_model
from automl.stages.check import check_threads
from automl.stages.folder import CONFIG_FILE
from automl.targets.onnx_export import export_onnx
from automl.targets.table import make_target
from automl.targets.timing import timing_facts
from automl.transforms.plan import QuantizationPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from automl.models.loaded import LoadedModel
    from automl.targets.base import Target

__all__ = ["measure_side_by_side"]

PREDICT_BATCH = 8

DEFAULT_TARGET = "openvino"

#: Either of them tells an artifact folder, a damaged one too.
ARTIFACT_FILES = ("manifest.json", "model.onnx", "weights.safetensors")


@dataclass(frozen=True)
class _Entry:
    name: str
    file: Path
    float_type: str
    size_bytes: int
    target: str


def _serving_target(models: Sequence[str]) -> str:
    """Return where the models are served when nobody says: torch programs on their own target."""
    for name in models:
        if _is_artifact(name) and not (artifact := load_artifact(name)).is_onnx:
            return artifact.manifest.info.target
    return DEFAULT_TARGET


def _input_shapes(models: Sequence[str]) -> tuple[tuple[int, ...], ...] | None:
    """Return the input shapes that the first artifact was searched with, None when it was the model's own."""
    for name in models:
        if _is_artifact(name):
            given = load_artifact(name).manifest.info.config.get("input") or ()
            return tuple(parse_input_shape(text) for text in given) or None
    return None


def _is_artifact(name: str) -> bool:
    return any((Path(name) / file).exists() for file in ARTIFACT_FILES)


def _artifact_entry(folder: Path, index: int, place: Path, server: Target) -> tuple[_Entry, str]:
    artifact = load_artifact(folder)
    info = artifact.manifest.info
    if artifact.is_onnx != (server.suffix == ".onnx"):
        kind = "an ONNX graph" if artifact.is_onnx else "a torch program"
        raise ConfigError(
            f"{folder} holds {kind}, which target {server.info().name} does not serve; measure it with "
            f"--target {info.target}"
        )
    file = artifact.write(place / str(index))
    entry = _Entry(str(folder), file, info.float_type, artifact.size_bytes, info.target)
    return entry, str(info.config["model"])


def _model_entry(model: LoadedModel, name: str, index: int, place: Path, server: Target) -> _Entry:
    traced = trace_model(model.module, model.example_inputs)
    deployable = server.deployable(traced, export_onnx(traced), QuantizationPlan({}, {}))
    file = place / f"{index}{deployable.suffix}"
    file.write_bytes(deployable.content)
    return _Entry(name, file, "f32", file.stat().st_size, server.info().name)


def measure_side_by_side(
    models: Sequence[str],
    *,
    data: str | None,
    target: str | None,
    repeats: int,
    evaluation: int,
    threads: int | None,
    batch: int,
) -> list[tuple[str, Measurement]]:
    """Return (name, measurement) of each model: quality against the first, latency interleaved with it.

    Args:
        models: artifact folders, or names that ``load_model`` takes; an untouched model runs in f32.
        data: evaluation data; the embedded default when None.
        target: where all of them are served; when None, the target of the first torch program among them,
            else OpenVINO.
        repeats: timed runs of each.
        evaluation: evaluation samples.
        threads: threads of the runtime.
        batch: batch size of the timing.

    Raises:
        ConfigError: the models do not share one original model.
        AutomlError: a model, artifact or data cannot be used.
    """
    check_threads(threads)
    server = make_target(target or _serving_target(models), threads=threads, batch=batch)
    with tempfile.TemporaryDirectory(prefix="automl-bench-") as temporary:
        place = Path(temporary)
        entries, specs = [], []
        loaded: LoadedModel | None = None
        shapes = _input_shapes(models)
        for index, name in enumerate(models):
            if (Path(name) / CONFIG_FILE).exists():
                raise ConfigError(
                    f"{name} is a run folder; name one of its models, for example {name}/models/ID: "
                    f"automl show {name} lists them"
                )
            if _is_artifact(name):
                entry, spec = _artifact_entry(Path(name), index, place, server)
            else:
                spec = name
                loaded = load_model(name, input_shapes=shapes)
                entry = _model_entry(loaded, name, index, place, server)
            entries.append(entry)
            specs.append(spec)
        if len(set(specs)) > 1:
            raise ConfigError(f"cannot compare models of different origin ({', '.join(sorted(set(specs)))})")
        model = loaded or load_model(specs[0], input_shapes=shapes)
        seed = child_seed(0, "data")
        samples = load_data(data, model, calibration=1, evaluation=evaluation, seed=seed).evaluation
        try:
            inputs = samples.take(slice(0, batch)).inputs
            timings = server.time([(e.file, e.float_type) for e in entries], inputs, repeats=repeats)
            rows = []
            reference = None
            for entry, timing in zip(entries, timings, strict=True):
                outputs = server.predict(
                    entry.file, samples.inputs, float_type=entry.float_type, batch=PREDICT_BATCH
                )
                reference = outputs if reference is None else reference
                quality = score(model.task, outputs[0], reference[0], quality_targets(model.task, samples))
                latency = Metric(timing.median_ms, "ms", timing.low_ms, timing.high_ms, timing.repeats)
                rows.append(
                    (
                        entry.name,
                        Measurement(
                            {
                                **quality,
                                "latency_ms": latency,
                                "latency_p95_ms": Metric(timing.p95_ms, "ms", n=timing.repeats),
                                "artifact_bytes": Metric(entry.size_bytes, "B"),
                            },
                            timing_facts(timing),
                        ),
                    )
                )
        finally:
            server.close()
    return rows
