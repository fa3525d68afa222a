"""The torch target end to end: a worker process, files of its own kind, legality from the kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from automl.targets.torch_cpu import TorchTarget
from tests.targets.programs import ENCODER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.targets.conftest import Small


@pytest.fixture(scope="module")
def target() -> Iterator[TorchTarget]:
    made = TorchTarget(threads=1, batch=2)
    yield made
    made.close()


def _file(target: TorchTarget, net: Small, precisions: dict[str, str], place: Path) -> Path:
    made = target.deployable(net.traced, net.base, net.plan(precisions, target.rules))
    file = place / f"{len(precisions)}{made.suffix}"
    file.write_bytes(made.content)
    return file


def test_predictions_are_those_of_the_simulated_model(
    target: TorchTarget, encoder: Small, tmp_path: Path
) -> None:
    from torch import from_numpy

    from tests.targets.programs import gap
    from tests.targets.programs import simulated

    for precisions in ({}, dict.fromkeys(ENCODER, "w8a8")):
        file = _file(target, encoder, precisions, tmp_path)
        (y,) = target.predict(file, [encoder.images], float_type="f32", batch=3)
        assert gap(from_numpy(y), simulated(encoder, precisions)) < 0.01


def test_times_profile_and_memory_come_from_the_worker(
    target: TorchTarget, encoder: Small, tmp_path: Path
) -> None:
    files = [_file(target, encoder, p, tmp_path) for p in ({}, {"up": "w8a8"})]
    times = target.run_times([(f, "f32") for f in files], [encoder.images[:2]], repeats=4)
    assert [len(t) for t in times] == [4, 4]
    nodes = target.profile(files[1], [encoder.images[:2]], float_type="f32", repeats=3)
    assert any(n.precision == "i8" for n in nodes)


def test_few_rows_may_be_weight_only_and_many_may_not(small: Small) -> None:
    few, many = TorchTarget(threads=1, batch=1), TorchTarget(threads=1, batch=64)
    site = small.traced.graph.site("hidden")
    for option in ("w8", "w4g64"):
        assert few.strike(site, option) is None
        assert "the packed product is slower" in (many.strike(site, option) or "")


def test_what_no_kernel_serves_is_struck_with_the_reason(target: TorchTarget, small: Small) -> None:
    legality = target.legality(small.traced.graph)
    reasons = {(site, option): why for site, option, why in legality.struck}
    assert legality.options["stem"] == ("fp",)
    assert "torch's own float convolution" in reasons["stem", "w8a8"]
    assert "at the bytes and speed of w8a8" in reasons["head", "w4a8"]
    assert "w8a8" in legality.options["head"]


def test_the_kernel_of_every_site_is_told(target: TorchTarget, encoder: Small) -> None:
    plan = encoder.plan({"up": "w8a8"}, target.rules)
    served = {s.site: s for s in target.deployable(encoder.traced, encoder.base, plan).served}
    assert list(served) == [s.name for s in encoder.traced.graph.sites]
    assert (served["up"].kernel, served["up"].implementation) == ("w8a8_linear", "cpu")
    assert "oneDNN" in served["up"].reason
    assert {"triton", "reference"} <= {name for name, _ in served["up"].others}
    assert served["words"].implementation == "torch"
    assert all(why for s in served.values() for _, why in s.others)
    assert ("w8a8_linear for w8a8", "it could serve; the candidate takes another option") in served[
        "down"
    ].others


def test_a_network_of_convolutions_runs_in_codes_and_says_on_which_kernel(
    target: TorchTarget, tmp_path: Path
) -> None:
    from torch import from_numpy

    from tests.targets.conv_nets import MOBILE
    from tests.targets.conv_nets import MobileBlocks
    from tests.targets.conv_nets import images_net
    from tests.targets.programs import gap
    from tests.targets.programs import simulated

    net, precisions = images_net(MobileBlocks()), dict.fromkeys(MOBILE, "w8a8")
    file = _file(target, net, precisions, tmp_path)
    (y,) = target.predict(file, [net.images], float_type="f32", batch=3)
    assert gap(from_numpy(y), simulated(net, precisions, rules=target.rules)) < 0.002
    plan = net.plan(precisions, target.rules)
    served = {s.site: s for s in target.deployable(net.traced, net.base, plan).served}
    assert (served["deep"].kernel, served["deep"].implementation) == ("w8a8_conv", "cpu")
    assert "qconv_pointwise" in served["deep"].reason
    assert ("triton", "on a GPU a convolution is a matrix product over its windows") in [
        (name, why.partition(",")[0]) for name, why in served["deep"].others
    ]
    assert served["head"].kernel == "w8a8_linear"


def test_outputs_are_float32(target: TorchTarget, encoder: Small, tmp_path: Path) -> None:
    (y,) = target.predict(_file(target, encoder, {}, tmp_path), [encoder.images], float_type="f32", batch=8)
    assert y.dtype == np.float32
