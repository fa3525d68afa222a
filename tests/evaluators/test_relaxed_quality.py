from __future__ import annotations

import numpy as np
import pytest
import torch

from automl.core.errors import EvaluationError
from automl.core.samples import Samples
from automl.evaluators.relaxed_quality import RelaxedQuality
from automl.evaluators.sensitivity import divergence
from automl.evaluators.sensitivity import kl_table
from automl.searchspaces.dimension import Dimension
from automl.searchspaces.space import SearchSpace
from automl.searchspaces.trace import trace_model
from automl.transforms.materialize import materialize
from automl.transforms.plan import QuantizationPlan
from tests.evaluators.minmax import MinMax
from tests.searchspaces.networks import conv_net
from tests.searchspaces.networks import token_net

OPTIONS = ("fp", "w8a8", "w4a8", "w2a8")


class Case:
    def __init__(self, build, *, tied=()):
        model, inputs = build()
        self.traced = trace_model(model, inputs)
        rng = np.random.default_rng(0)
        shape = (8, *inputs[0].shape[1:])
        draw = rng.standard_normal(shape).astype(np.float32)
        self.samples = Samples((draw if inputs[0].is_floating_point() else rng.integers(0, 17, shape),))
        self.maker = MinMax(self.traced, (torch.from_numpy(self.samples.inputs[0]),))
        self.sites = [s.name for s in self.traced.graph.sites if s.op != "embedding"]
        groups = [(s,) for s in self.sites if s not in tied] + ([tied] if tied else [])
        dimensions = [Dimension("precision", g[0], OPTIONS, "fp", sites=g) for g in groups]
        self.space = SearchSpace((*dimensions, Dimension("float", "model", ("f32", "bf16"), "f32")))
        self.prices = {"float:model": np.array([0.0, 0.25])}

    def loss(self, **settings):
        return RelaxedQuality(
            self.traced,
            self.samples,
            self.space,
            self.maker.weight,
            self.maker.edges,
            prices=self.prices,
            **settings,
        )

    def shares(self, code):
        return np.eye(len(OPTIONS))[np.array(code)]

    def code(self, **chosen):
        code = self.space.default_code.copy()
        for row, dimension in enumerate(self.space.dimensions):
            code[row] = OPTIONS.index(chosen.get(dimension.site, "fp"))
        return code


@pytest.fixture(scope="module")
def conv():
    return Case(conv_net)


def test_the_untouched_model_costs_nothing_and_other_kinds_their_price(conv):
    value, slopes = conv.loss(batch_size=8)(conv.shares(conv.space.default_code), 0)
    assert value == pytest.approx(0.0, abs=1e-6)
    assert slopes[-1].tolist() == [0.0, 0.25, 0.0, 0.0]
    shares = conv.shares(conv.space.default_code)
    shares[-1] = [0.5, 0.5, 0.0, 0.0]
    assert conv.loss(batch_size=8)(shares, 0)[0] == pytest.approx(0.125, abs=1e-6)


@pytest.mark.parametrize("build", [conv_net, token_net])
def test_an_option_alone_costs_what_the_damage_table_says(build):
    case = Case(build)
    table = kl_table(
        case.traced, case.samples, case.maker.weight, case.maker.edges, dict.fromkeys(case.sites, OPTIONS)
    )
    loss = case.loss(batch_size=8)
    for site in case.sites[:3]:
        value, _ = loss(case.shares(case.code(**{site: "w4a8"})), 0)
        assert value == pytest.approx(table[(site, "w4a8")], rel=0.02, abs=1e-6)


def test_whole_shares_are_the_materialized_model(conv):
    chosen = dict.fromkeys(conv.sites, "w2a8")
    plan = QuantizationPlan(
        {s: conv.maker.weight(s, o) for s, o in chosen.items()},
        {e: q for s, o in chosen.items() for e, q in conv.maker.edges(s, o).items()},
    )
    x = torch.from_numpy(conv.samples.inputs[0])
    with torch.no_grad():
        expected = divergence(conv.traced.module(x), materialize(conv.traced, plan)(x), "logits").mean()
    value, _ = conv.loss(batch_size=8)(conv.shares(conv.code(**chosen)), 0)
    assert value == pytest.approx(float(expected), rel=1e-3)


def test_slopes_of_weights_are_the_derivative(conv):
    class WeightsAlone(Case):
        def __init__(self):
            super().__init__(conv_net)
            # a rounded read lets the gradient pass, which no difference of losses shows
            self.maker.edges = lambda site, option: {}

    case, rng = WeightsAlone(), np.random.default_rng(1)
    loss = case.loss(batch_size=8)
    shares = rng.dirichlet(np.ones(4), size=len(case.space))
    _, slopes = loss(shares, 0)
    for row, column in ((0, 3), (2, 2), (len(case.sites) - 1, 1)):
        up, down = shares.copy(), shares.copy()
        up[row, column] += 1e-3
        down[row, column] -= 1e-3
        change = (loss(up, 0)[0] - loss(down, 0)[0]) / 2e-3
        assert slopes[row, column] == pytest.approx(change, rel=0.05, abs=1e-4)


def test_fewer_bits_pull_harder_than_more(conv):
    shares = np.full((len(conv.space), 4), 0.25)
    _, slopes = conv.loss(batch_size=8)(shares, 0)
    precisions = slopes[:-1]
    assert precisions[:, 3].sum() > precisions[:, 2].sum() > precisions[:, 1].sum()


def test_tied_sites_share_their_decision():
    case = Case(conv_net, tied=("blocks.0.pw", "blocks.1.pw"))
    loss, apart = case.loss(batch_size=8), Case(conv_net)
    together, _ = loss(case.shares(case.code(**{"blocks.0.pw": "w2a8"})), 0)
    both = apart.code(**{"blocks.0.pw": "w2a8", "blocks.1.pw": "w2a8"})
    assert together == pytest.approx(apart.loss(batch_size=8)(apart.shares(both), 0)[0], rel=1e-4)


def test_steps_go_around_the_batches(conv):
    loss = conv.loss(batch_size=3)
    shares = conv.shares(conv.code(**dict.fromkeys(conv.sites, "w2a8")))
    values = [loss(shares, step)[0] for step in range(6)]
    assert values[:3] == values[3:]
    assert len(set(values[:3])) == 3


def test_a_loss_that_is_not_finite_is_named(conv):
    shares = conv.shares(conv.space.default_code)
    shares[0] = np.nan
    with pytest.raises(EvaluationError, match="mixture's loss"):
        conv.loss(batch_size=8)(shares, 0)
