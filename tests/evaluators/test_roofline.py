from __future__ import annotations

import pytest

from automl.core.errors import SpaceError
from automl.evaluators.roofline import Roofline
from automl.evaluators.roofline import compute_type
from automl.evaluators.roofline import weight_bytes
from automl.evaluators.roofline_math import crossover_rows
from automl.evaluators.size import site_size
from automl.searchspaces.graph import GraphNode
from automl.searchspaces.graph import ModelGraph
from automl.searchspaces.graph import Site
from automl.targets.devices import DEVICES
from automl.targets.devices import Device
from tests.evaluators.traced_nets import convolutions
from tests.evaluators.traced_nets import decoder
from tests.evaluators.traced_nets import encoder

A100 = DEVICES["a100"]
WIDTH = 4096


def layer(rows, d_in=WIDTH, d_out=WIDTH):
    site = Site("fc", "linear", "y", (d_out, d_in), 1, False, rows * d_in * d_out, rows)
    nodes = (
        GraphNode("x", "input", (), (1, rows, d_in)),
        GraphNode("y", "linear", ("x",), (1, rows, d_out), "fc"),
        GraphNode("output", "output", ("y",), ()),
    )
    return ModelGraph(nodes, (site,), ((1, rows, d_in),))


@pytest.mark.parametrize(
    ("weight", "activation", "kv", "expected"),
    [
        (8, 8, None, "int8"),
        (4, 8, 8, "int8"),
        (8, None, None, "bf16"),
        (4, None, 8, "bf16"),
        (8, 8, 16, "bf16"),
    ],
)
def test_int8_units_need_everything_they_read_in_8_bits(weight, activation, kv, expected):
    assert compute_type("bf16", weight, activation, kv) == expected


@pytest.mark.parametrize("option", ["fp", "w8", "w4g64", "w8a8"])
def test_weight_bytes_are_the_stored_bytes(option):
    site = layer(1).sites[0]
    assert weight_bytes(site, option, "f32") == site_size(site, option).total_bytes


def test_low_bit_weights_on_int8_kernels_are_read_as_8_bits():
    site = layer(1).sites[0]
    assert weight_bytes(site, "w4a8", "f32") == weight_bytes(site, "w8a8", "f32")


def test_the_time_of_a_layer_is_the_closed_form():
    roofline = Roofline(layer(16), A100)
    moved = 2 * (WIDTH * WIDTH + 2 * 16 * WIDTH)
    assert roofline.site_ms("fc", "fp", "bf16") == pytest.approx(1e3 * moved / 1.555e12)
    many = Roofline(layer(65536), A100)
    assert many.site_ms("fc", "fp", "bf16") == pytest.approx(1e3 * 2 * 65536 * WIDTH**2 / 312e12)


def test_a_weight_only_option_buys_bytes_and_no_arithmetic():
    few, many = Roofline(layer(1), A100), Roofline(layer(65536), A100)
    assert few.site_ms("fc", "w4g64", "bf16") < 0.3 * few.site_ms("fc", "fp", "bf16")
    assert many.site_ms("fc", "w4g64", "bf16") == many.site_ms("fc", "fp", "bf16")
    assert many.site_ms("fc", "w8a8", "bf16") == pytest.approx(0.5 * many.site_ms("fc", "fp", "bf16"))


def test_w4_and_w8a8_change_places_as_the_batch_grows():
    def faster(rows):
        roofline = Roofline(layer(rows), A100)
        return min(("w4g64", "w8a8"), key=lambda o: roofline.site_ms("fc", o, "bf16"))

    assert [faster(rows) for rows in (1, 16, 2048)] == ["w4g64", "w4g64", "w8a8"]


def test_the_bound_changes_at_the_crossover():
    at = A100.peaks["bf16"] / A100.bandwidth
    rows = crossover_rows(WIDTH, WIDTH, at, weight=2, read=2, write=2)

    def bound(n):
        roofline = Roofline(layer(n), A100)
        return roofline.price(roofline.operators[0], "fp", "bf16").bound

    one = Roofline(layer(1), A100)
    assert one.turns_at_rows(one.operators[0], "bf16") == rows
    assert bound(int(rows) - 1) == "memory"
    assert bound(int(rows) + 2) == "compute"


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
@pytest.mark.parametrize("rows", [1, 64, 4096])
def test_fewer_bits_are_never_slower(device, rows):
    roofline = Roofline(layer(rows), device)
    real, eight, four, both = (roofline.site_ms("fc", o, "bf16") for o in ("fp", "w8", "w4g64", "w8a8"))
    assert real >= eight >= four
    assert real >= both
    assert roofline.site_ms("fc", "fp", "f32") >= real


def test_a_candidate_is_the_sum_of_its_sites_and_the_rest():
    graph = decoder()[1]
    roofline = Roofline(graph, A100)
    mixed = {s.name: "w8a8" for s in graph.sites[1::2] if s.op == "linear"}
    total = roofline.latency_ms(mixed, "bf16")
    assert total == pytest.approx(sum(p.ms for p in roofline.table(mixed, "bf16")))
    sites = sum(roofline.site_ms(s.name, mixed.get(s.name, "fp"), "bf16") for s in graph.sites)
    assert total == pytest.approx(sites + roofline.rest_ms("bf16"))


def test_fused_attention_moves_fewer_bytes_and_does_the_same():
    graph = encoder()[1]
    cpu = Device("cpu", "", {"f32": 1e12}, 1e11, 1e10, fused_attention=False)
    gpu = Device("gpu", "", {"f32": 1e12}, 1e11, 1e10)

    def priced(device):
        roofline = Roofline(graph, device)
        return next(p for p in roofline.table({}) if p.operator.kind == "attention")

    assert priced(cpu).work.total_ops == priced(gpu).work.total_ops
    assert priced(cpu).work.total_bytes > priced(gpu).work.total_bytes
    assert (priced(cpu).kernels, priced(gpu).kernels) == (3, 1)


def test_starting_kernels_is_paid_for_each():
    slow = Device("cpu", "", {"f32": 1e18}, 1e18, 1e18, launch_s=1e-3, fused_attention=False)
    roofline = Roofline(encoder()[1], slow)
    rows = roofline.table({})
    assert roofline.latency_ms({}) == pytest.approx(sum(r.kernels for r in rows))
    assert {r.bound for r in rows} == {"launch"}


def test_decoding_is_limited_by_memory_and_prefill_by_arithmetic():
    graph = decoder()[1]
    cpu = Device("cpu", "", {"f32": 1e11}, 1e11, 2e10)
    sites = [s.name for s in graph.sites if s.op == "linear"]

    def bounds(**phase):
        roofline = Roofline(graph, cpu, **phase)
        return {roofline.price(o).bound for s in sites for o in roofline.by_site[s]}

    assert bounds(decode=True) == {"memory"}
    assert bounds(batch=512) == {"compute"}


def test_unknown_names_are_refused():
    roofline = Roofline(layer(1), A100)
    with pytest.raises(SpaceError, match="unknown site 'fd'"):
        roofline.latency_ms({"fd": "fp"})
    with pytest.raises(SpaceError, match="unknown site"):
        roofline.site_ms("fd")
    with pytest.raises(SpaceError, match="unknown float type 'f16'"):
        roofline.site_ms("fc", "fp", "f16")
    with pytest.raises(SpaceError, match="unknown precision option 'w7'"):
        roofline.site_ms("fc", "w7")


def test_only_matrix_layers_that_can_turn_have_a_turning_point():
    roofline = Roofline(decoder()[1], A100)
    turning = {o.name: roofline.turns_at_rows(o) for o in roofline.operators}
    assert all(turning[o.name] is None for o in roofline.operators if o.kind != "linear")
    thin = Roofline(layer(1, 4096, 8), A100)
    assert thin.turns_at_rows(thin.operators[0], "bf16") is None
    with pytest.raises(SpaceError, match="unknown float type"):
        thin.turns_at_rows(thin.operators[0], "f16")


@pytest.mark.parametrize("make", [convolutions, encoder, decoder])
def test_work_is_what_the_counted_elements_take(make):
    roofline = Roofline(make()[1], A100, batch=2)
    for priced in roofline.table({}, "bf16"):
        operator, work = priced.operator, priced.work
        if operator.attention is not None or operator.kind in {"norm", "softmax"}:
            continue
        assert work.macs == operator.macs
        assert work.read_bytes == pytest.approx(2 * (operator.reads + operator.operands))
        assert work.write_bytes == pytest.approx(2 * operator.writes)
        width = 4 if operator.kind == "embedding" else 2
        assert work.weight_bytes == pytest.approx(width * operator.weights)
        assert work.ops == pytest.approx(operator.ops)
