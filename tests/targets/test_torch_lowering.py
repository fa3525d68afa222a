"""A lowered program computes what the simulated model computes, in every option and type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from automl.targets.torch_sites import Serving
from tests.targets.programs import ENCODER
from tests.targets.programs import gap
from tests.targets.programs import lowered
from tests.targets.programs import outputs
from tests.targets.programs import simulated

if TYPE_CHECKING:
    from tests.targets.conftest import Small

MIXED = {"query": "w8a8", "key": "w8a8", "value": "w8a8", "out": "w8", "up": "fp", "down": "w4g64"}


@pytest.mark.parametrize(
    "precisions",
    [{}, dict.fromkeys(ENCODER, "w8a8"), dict.fromkeys(ENCODER, "w8"), MIXED],
    ids=["float", "w8a8", "w8", "mixed"],
)
def test_an_encoder_gives_what_its_simulation_gives(encoder: Small, precisions: dict[str, str]) -> None:
    got, expected = outputs(encoder, precisions), simulated(encoder, precisions)
    assert gap(got, expected) < 0.01
    if precisions:
        assert gap(expected, torch.from_numpy(encoder.logits)) > 1e-4


def test_attention_without_a_mask_gives_what_its_simulation_gives(heads: Small) -> None:
    for precisions in ({}, {"qkv": "w8a8", "out": "w8a8"}):
        assert gap(outputs(heads, precisions), simulated(heads, precisions)) < 0.01


@pytest.mark.parametrize("option", ["fp", "w8a8"])
def test_bfloat16_stays_near_the_float_model(encoder: Small, option: str) -> None:
    got = outputs(encoder, dict.fromkeys(ENCODER, option), Serving(torch.bfloat16))
    assert got.dtype == torch.float32
    assert 1e-5 < gap(got, simulated(encoder, dict.fromkeys(ENCODER, option))) < 0.05


def test_a_network_of_convolutions_is_served_in_float_and_codes(small: Small) -> None:
    everything = dict.fromkeys(("stem", "left", "wide", "hidden", "head"), "w8a8")
    for precisions in ({}, {"head": "w8a8"}, everything):
        assert gap(outputs(small, precisions), simulated(small, precisions)) < 0.01


def test_a_reference_of_every_kernel_gives_the_same(encoder: Small) -> None:
    by_reference = outputs(encoder, MIXED, Serving(preference="reference"))
    assert gap(outputs(encoder, MIXED), by_reference) < 0.01


def test_any_batch_is_served(encoder: Small) -> None:
    run, tokens = lowered(encoder, MIXED).run, torch.from_numpy(encoder.images)
    whole = run(tokens)
    torch.testing.assert_close(run(tokens[:3]), whole[:3], rtol=0.02, atol=0.02)


def test_checks_of_the_trace_and_unread_nodes_are_gone(encoder: Small) -> None:
    graph = lowered(encoder, dict.fromkeys(ENCODER, "w8a8")).graph
    assert all(n.users for n in graph.nodes if n.op not in ("placeholder", "output"))
    assert not [n for n in graph.nodes if "_assert" in str(n.target)]


def test_what_reads_constants_alone_is_computed_in_advance(encoder: Small) -> None:
    graph = lowered(encoder, {}).graph
    for node in graph.nodes:
        if node.op == "call_function":
            assert [n for n in node.all_input_nodes if n.op != "get_attr"]
