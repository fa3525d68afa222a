"""Convolutions take in zeros, sums and activations, and keep codes codes on the way between them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
import torch

from automl.targets.program_target import CPU_PROGRAM_RULES
from automl.targets.torch_found_sites import Serving
from automl.targets.torch_found_sites import find_sites
from automl.transforms.kernel_convs import W8A8Conv
from tests.targets.conv_nets import MOBILE
from tests.targets.conv_nets import MobileBlocks
from tests.targets.conv_nets import Reader
from tests.targets.conv_nets import images_net
from tests.targets.programs import gap
from tests.targets.programs import lowered
from tests.targets.programs import outputs
from tests.targets.programs import program_of
from tests.targets.programs import simulated

if TYPE_CHECKING:
    from tests.targets.conftest import Small

READER = ("stem", "twice", "again", "own", "head")


@pytest.fixture(scope="module")
def mobile() -> Small:
    return images_net(MobileBlocks())


@pytest.fixture(scope="module")
def tailed() -> Small:
    return images_net(MobileBlocks(tail=True))


@pytest.fixture(scope="module")
def reader() -> Small:
    return images_net(Reader())


def _kinds(net: Small, precisions: dict[str, str]) -> Counter[str]:
    graph = lowered(net, precisions, rules=CPU_PROGRAM_RULES).graph
    named = (n.meta["kind"] if n.op == "call_module" else n.name.rstrip("_0123456789") for n in graph.nodes)
    return Counter(named)


def test_a_network_of_codes_makes_codes_of_its_input_and_of_the_mean_alone(mobile: Small) -> None:
    kinds = _kinds(mobile, dict.fromkeys(MOBILE, "w8a8"))
    # The third is the pool, which takes the maximum of codes.
    assert kinds["codes"] == 3
    assert kinds["integer"] == len(MOBILE)
    assert not {"add", "relu", "clamp", "hardswish", "pad", "max_pool", "numbers"} & set(kinds)


def test_every_layer_in_codes_gives_what_its_simulation_gives(mobile: Small) -> None:
    precisions = dict.fromkeys(MOBILE, "w8a8")
    expected = simulated(mobile, precisions, rules=CPU_PROGRAM_RULES)
    got = outputs(mobile, precisions, rules=CPU_PROGRAM_RULES)
    assert gap(got, expected) < 0.002
    assert gap(expected, torch.from_numpy(mobile.logits)) > 0.005


@pytest.mark.parametrize("left_out", MOBILE)
def test_any_layer_may_stay_in_float(mobile: Small, left_out: str) -> None:
    precisions = dict.fromkeys(MOBILE, "w8a8") | {left_out: "fp"}
    expected = simulated(mobile, precisions, rules=CPU_PROGRAM_RULES)
    assert gap(outputs(mobile, precisions, rules=CPU_PROGRAM_RULES), expected) < 0.002


def test_float_convolutions_give_what_the_model_gives(mobile: Small) -> None:
    assert gap(outputs(mobile, {}, rules=CPU_PROGRAM_RULES), torch.from_numpy(mobile.logits)) < 1e-5
    kinds = _kinds(mobile, {})
    # Sums stay torch's own.
    assert kinds["float"] == len(MOBILE)
    assert kinds["add"] == 2


@pytest.mark.parametrize("float_type", [torch.float32, torch.bfloat16])
def test_a_sum_whose_result_is_read_in_numbers_is_made_of_numbers(tailed: Small, float_type) -> None:
    precisions = dict.fromkeys(MOBILE, "w8a8")
    assert _kinds(tailed, precisions)["numbers"] == 1
    expected = simulated(tailed, precisions, rules=CPU_PROGRAM_RULES)
    got = outputs(tailed, precisions, Serving(float_type), CPU_PROGRAM_RULES)
    assert gap(got, expected) < (0.002 if float_type is torch.float32 else 0.05)


def test_a_sum_takes_the_memory_only_of_what_nobody_reads_later(reader: Small) -> None:
    precisions = dict.fromkeys(READER, "w8a8")
    made = lowered(reader, precisions, rules=CPU_PROGRAM_RULES)
    layers = [getattr(part, "__self__", None) for part in made.parts.values()]
    sums = [layer for layer in layers if isinstance(layer, W8A8Conv)]
    # The first summand is read again; the second is not.
    assert [layer.owns_residual for layer in sums] == [False, True]
    expected = simulated(reader, precisions, rules=CPU_PROGRAM_RULES)
    images = torch.from_numpy(reader.images)
    assert gap(made.run(images), expected) < 0.002
    assert torch.equal(made.run(images), made.run(images))


def test_elsewhere_convolutions_stay_products_over_windows(mobile: Small) -> None:
    precisions = {"stem": "w8a8", "expand": "w8a8", "project": "w8a8", "first": "w8a8"}
    found = find_sites(program_of(mobile, precisions), Serving(preference="reference"))
    assert not any(s.convolves for s in found.sites)
    assert not found.pools
    got = outputs(mobile, precisions, Serving(preference="reference"))
    assert gap(got, simulated(mobile, precisions)) < 0.002
