from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import fx

from automl.transforms.calibrate import calibrate
from automl.transforms.plan import QuantizationPlan
from automl.transforms.plan import QuantizationRules
from automl.transforms.quantization_math import dequantize_symmetric
from automl.transforms.quantize import Quantizer

SITES = ["stem", "deep", "point", "head"]


class Plain(fx.Interpreter):
    """The plan executed naively, as an independent reference."""

    def __init__(self, traced, plan):
        super().__init__(traced.module)
        self.plan = plan

    def fetch_attr(self, target):
        site, _, kind = target.rpartition(".")
        weight = self.plan.weights.get(site)
        if weight is None or (kind == "bias" and weight.bias is None):
            return super().fetch_attr(target)
        if kind == "bias":
            return torch.from_numpy(weight.bias)
        return torch.from_numpy(dequantize_symmetric(weight.codes, weight.scale, weight.group))

    def run_node(self, n):
        reads = {a: self.plan.edges.get((a.name, n.name)) for a in n.all_input_nodes}
        saved = {a: self.env[a] for a, q in reads.items() if q is not None}
        for a, value in saved.items():
            q = reads[a]
            codes = torch.clamp(torch.round(value / q.scale) + q.zero_point, 0, 255)
            self.env[a] = (codes - q.zero_point) * q.scale
        result = super().run_node(n)
        self.env.update(saved)
        return result


def error(traced, plan, samples):
    x = torch.from_numpy(samples.inputs[0])
    with torch.no_grad():
        wanted = Plain(traced, QuantizationPlan({}, {})).run(x)
        got = Plain(traced, plan).run(x)
    wanted, got = (t[0] if isinstance(t, tuple) else t for t in (wanted, got))
    return float(torch.mean((wanted - got) ** 2)), (got - wanted).mean(0).numpy()


@pytest.fixture(scope="module")
def quantizer(small, images):
    return Quantizer(small, calibrate(small, images, batch=16), QuantizationRules())


@pytest.mark.parametrize("option", ["w2a8", "w3a8"])
def test_repair_lowers_the_output_error_and_removes_its_mean(small, images, quantizer, option):
    plan = quantizer.plan(dict.fromkeys(SITES, option))
    fixed = quantizer.repair(plan, images, batch=16)
    before, _ = error(small, plan, images)
    after, mean = error(small, fixed, images)
    assert after < before
    assert np.abs(mean).max() < 2e-3


def test_repair_keeps_the_form_of_the_plan_and_leaves_the_original_alone(quantizer, images):
    plan = quantizer.plan({"stem": "w8a8", "deep": "w3a8", "point": "w4a8", "head": "fp"})
    codes = plan.weights["deep"].codes.copy()
    fixed = quantizer.repair(plan, images, batch=16)
    assert set(fixed.edges) == set(plan.edges)
    assert fixed.precisions == plan.precisions
    for site, weight in plan.weights.items():
        assert fixed.weights[site].bits == weight.bits
        assert fixed.weights[site].codes.shape == weight.codes.shape
        assert fixed.weights[site].scale.shape == weight.scale.shape
    assert np.array_equal(codes, plan.weights["deep"].codes)


def test_repair_is_deterministic(quantizer, images):
    plan = quantizer.plan(dict.fromkeys(SITES, "w3a8"))
    one, two = (quantizer.repair(plan, images, batch=16) for _ in range(2))
    for site in SITES:
        assert np.array_equal(one.weights[site].codes, two.weights[site].codes)
        assert np.array_equal(one.weights[site].bias, two.weights[site].bias)
    assert one.edges == two.edges


def test_a_float_plan_is_returned_as_it_is(quantizer, images):
    fixed = quantizer.repair(quantizer.plan({}), images, batch=16)
    assert not fixed.weights
    assert not fixed.edges


def test_repair_of_few_samples_judges_on_rows(small, images):
    few = images.take(slice(0, 4))
    quantizer = Quantizer(small, calibrate(small, few, batch=4), QuantizationRules())
    plan = quantizer.plan(dict.fromkeys(SITES, "w2a8"))
    fixed = quantizer.repair(plan, few, batch=4)
    assert error(small, fixed, images)[0] < error(small, plan, images)[0]
