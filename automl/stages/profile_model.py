"""Profile: every operator of a model with its work, its bound, and its estimated and measured time."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from automl.artifact.profile_data import ProfileData
from automl.artifact.profile_data import ProfileFit
from automl.artifact.profile_data import ProfileRow
from automl.core.errors import ConfigError
from automl.core.errors import EvaluationError
from automl.core.errors import unknown_name
from automl.core.rng import child_seed
from automl.data.loading import load_data
from automl.evaluators.latency_features import Attributor
from automl.evaluators.roofline import Roofline
from automl.evaluators.roofline_fit_math import fit_factors
from automl.evaluators.roofline_fit_math import spearman
from automl.evaluators.roofline_math import kv_cache_work
from automl.models.checks import parse_input_shape
from automl.models.loading import load_model
from automl.stages.check import check_threads
from automl.stages.device import CPU
from automl.stages.device import device_named
from automl.stages.traced import trace_and_export
from automl.targets.devices import DEVICES
from automl.targets.table import make_target
from automl.transforms.plan import QuantizationPlan

if TYPE_CHECKING:
    from automl.evaluators.roofline import Priced
    from automl.models.loaded import LoadedModel
    from automl.searchspaces.graph import ModelGraph
    from automl.searchspaces.graph import TracedModel
    from automl.targets.base import NodeProfile
    from automl.targets.onnx_export import BaseOnnx

__all__ = ["ProfileRequest", "measured_times", "profile_model"]


@dataclass(frozen=True)
class ProfileRequest:
    """What is to be profiled.

    Args:
        model: what ``load_model`` takes.
        data: where the timed inputs come from; the embedded default when None.
        target: the runtime whose own profile is the measured time.
        device: ``cpu``, this machine measured, or a device of the table, for which nothing is measured.
        float_type: ``f32`` or ``bf16``.
        batch: samples of a run.
        decode: one new token a sequence against a cache; estimated only.
        context: tokens in that cache; the traced length when None.
        input: input shapes such as ``1x64``.
        weights: safetensors file for ``timm:NAME``.
        threads: threads of the runtime; every core when None.
        repeats: profiled runs.
    """

    model: str
    data: str | None = None
    target: str = "openvino"
    device: str = CPU
    float_type: str = "f32"
    batch: int = 1
    decode: bool = False
    context: int | None = None
    input: tuple[str, ...] = ()
    weights: Path | None = None
    threads: int | None = None
    repeats: int = 30


def profile_model(request: ProfileRequest, cache: Path) -> ProfileData:
    """Return the profile of a model.

    Args:
        request: what is to be profiled.
        cache: folder of tables shared by runs; keeps traces and the measured device.

    Raises:
        AutomlError: an input cannot be used.
    """
    _check(request)
    shapes = tuple(parse_input_shape(text) for text in request.input) or None
    model = load_model(request.model, input_shapes=shapes, weights=request.weights)
    traced, base = trace_and_export(model, cache, lambda step: None)
    device = device_named(request.device, cache, request.threads)
    roofline = Roofline(
        traced.graph, device, batch=request.batch, decode=request.decode, context=request.context
    )
    table = roofline.table({}, request.float_type)
    executed: list[NodeProfile] = []
    runtime, notes = "", list[str]()
    if request.decode:
        notes.append("Decoding is estimated only: the traced model has no cache to be measured with.")
    elif not device.measured:
        notes.append("Nothing was measured: times of this machine would say nothing of that device.")
    else:
        executed, runtime = _execute(request, model, traced, base)
    times = measured_times(traced.graph, executed, table)
    rows = tuple(
        _row(roofline, priced, times.get(priced.operator.name), request.float_type) for priced in table
    )
    return ProfileData(
        model=model.name,
        setting=_setting(request, model),
        device=f"{device.title} ({request.device})",
        device_measured=device.measured,
        runtime=runtime,
        peaks=dict(device.peaks),
        bandwidth=device.bandwidth,
        rows=rows,
        fit=_fit(table, times),
        cache_bytes_per_token=_cache_growth(table, request) if model.task == "causal-lm" else 0.0,
        notes=tuple(notes),
    )


def _check(request: ProfileRequest) -> None:
    if request.device != CPU and request.device not in DEVICES:
        raise ConfigError(unknown_name("device", request.device, [CPU, *DEVICES]))
    if request.float_type not in {"f32", "bf16"}:
        raise ConfigError(unknown_name("float type", request.float_type, ["f32", "bf16"]))
    for name, value in (("batch", request.batch), ("repeats", request.repeats)):
        if value < 1:
            raise ConfigError(f"{name}={value} measures nothing; give a number of at least 1")
    if request.context is not None and not request.decode:
        raise ConfigError(
            f"a context of {request.context} tokens belongs to decoding; add --decode, or leave it out"
        )
    check_threads(request.threads)


def _execute(
    request: ProfileRequest, model: LoadedModel, traced: TracedModel, base: BaseOnnx
) -> tuple[list[NodeProfile], str]:
    """Return what the target says of its own run of the untouched model, and its name."""
    target = make_target(request.target, threads=request.threads, batch=request.batch)
    samples = load_data(
        request.data, model, calibration=1, evaluation=request.batch, seed=child_seed(0, "data")
    ).evaluation
    inputs = samples.take(np.arange(request.batch) % len(samples)).inputs
    try:
        info = target.info()
        if request.float_type not in info.float_types:
            raise EvaluationError(
                f"{info.name} computes in {', '.join(info.float_types)} on this machine, not in "
                f"{request.float_type}; give one of these with --float"
            )
        with tempfile.TemporaryDirectory(prefix="automl-profile-") as place:
            deployable = target.deployable(traced, base, QuantizationPlan({}, {}))
            file = Path(place) / f"model{deployable.suffix}"
            file.write_bytes(deployable.content)
            executed = target.profile(file, inputs, float_type=request.float_type, repeats=request.repeats)
    finally:
        target.close()
    return executed, info.runtime


def measured_times(graph: ModelGraph, executed: list[NodeProfile], table: list[Priced]) -> dict[str, float]:
    """Return milliseconds by operator, of those the runtime names; what is fused into one counts there."""
    owner = {node: priced.operator.name for priced in table for node in priced.operator.nodes}
    found: dict[str, float] = {}
    for unit, ms in Attributor(graph).times(executed).items():
        name = owner.get(unit)
        if name is not None:
            found[name] = found.get(name, 0.0) + ms
    return {name: ms for name, ms in found.items() if ms > 0}


def _row(roofline: Roofline, priced: Priced, measured: float | None, float_type: str) -> ProfileRow:
    operator = priced.operator
    return ProfileRow(
        name=operator.site or operator.name,
        kind=operator.kind,
        site=operator.site is not None,
        macs=priced.work.macs,
        ops=priced.work.total_ops,
        moved_bytes=priced.work.total_bytes,
        bound=priced.bound,
        estimated_ms=priced.ms,
        measured_ms=measured,
        turns_at_rows=roofline.turns_at_rows(operator, float_type),
    )


def _fit(table: list[Priced], times: dict[str, float]) -> ProfileFit | None:
    """Compare the sites that were measured: what a runtime fuses elsewhere has no time of its own."""
    rows = [p for p in table if p.operator.site is not None and p.operator.name in times]
    measured = [times[p.operator.name] for p in rows]
    try:
        factors, error = fit_factors(
            [p.compute_ms for p in rows], [p.memory_ms for p in rows], [p.kernels for p in rows], measured
        )
        rank = spearman([p.ms for p in rows], measured)
    except EvaluationError:
        return None  # Too few sites to compare; the rows stand for themselves.
    return ProfileFit(len(rows), rank, factors.compute, factors.memory, factors.kernel_ms, error)


def _cache_growth(table: list[Priced], request: ProfileRequest) -> float:
    width = {"f32": 4.0, "bf16": 2.0}[request.float_type]
    shapes = [p.operator.attention for p in table if p.operator.attention is not None]
    return sum(kv_cache_work(a.sequences, 1, a.kv_heads, a.head, kv=width).kv_bytes for a in shapes)


def _setting(request: ProfileRequest, model: LoadedModel) -> str:
    shapes = ", ".join("x".join(map(str, s)) for s in model.input_shapes)
    phase = f"input {shapes}"
    if request.decode:
        context = request.context or model.input_shapes[0][-1]
        phase = f"one new token a sequence, {context} in the cache"
    return f"batch {request.batch}, {phase}, {request.float_type}"
