import numpy as np
import pytest
import torch

from automl.core.errors import EvaluationError
from automl.core.samples import Samples
from automl.evaluators.cache import ContentCache
from automl.evaluators.sensitivity import agreement
from automl.evaluators.sensitivity import cached_table
from automl.evaluators.sensitivity import divergence
from automl.evaluators.sensitivity import fisher_table
from automl.evaluators.sensitivity import kl_table
from automl.evaluators.sensitivity import sqnr_table
from automl.evaluators.sensitivity import table_key
from automl.searchspaces.trace import trace_model
from automl.transforms.materialize import materialize
from automl.transforms.plan import QuantizationPlan
from tests.evaluators.minmax import MinMax
from tests.searchspaces.networks import conv_net
from tests.searchspaces.networks import token_net


class Case:
    def __init__(self, build, count):
        model, inputs = build()
        self.traced = trace_model(model, inputs)
        rng = np.random.default_rng(0)
        shape = (count, *inputs[0].shape[1:])
        draw = rng.standard_normal(shape).astype(np.float32)
        self.samples = Samples(((draw if inputs[0].is_floating_point() else rng.integers(0, 17, shape)),))
        self.maker = MinMax(self.traced, (torch.from_numpy(self.samples.inputs[0]),))
        names = ("fp", "w8a8", "w4a8", "w3a8", "w2a8")
        self.options = {s.name: names for s in self.traced.graph.sites if s.op != "embedding"}

    def args(self):
        return self.traced, self.samples, self.maker.weight, self.maker.edges, self.options


@pytest.fixture(scope="module")
def conv():
    return Case(conv_net, 32)


@pytest.fixture(scope="module")
def tokens():
    return Case(token_net, 8)


def test_kl_is_that_of_the_materialized_option(conv):
    table = kl_table(*conv.args())
    x = torch.from_numpy(conv.samples.inputs[0])
    for site, option in (("blocks.0.pw", "w3a8"), ("stem", "w4a8")):
        plan = QuantizationPlan({site: conv.maker.weight(site, option)}, conv.maker.edges(site, option))
        with torch.no_grad():
            gap = divergence(conv.traced.module(x), materialize(conv.traced, plan)(x), "logits").mean()
        assert table[(site, option)] == pytest.approx(float(gap), rel=0.02)
    assert table[("head", "fp")] == 0.0


def test_tables_agree_on_the_order_and_fewer_bits_cost_more(conv):
    kl, fisher = kl_table(*conv.args()), fisher_table(*conv.args(), seed=0, draws=8)
    sqnr = sqnr_table(*conv.args())
    assert agreement(kl, fisher) > 0.85
    for site in conv.options:
        assert sqnr[(site, "w8a8")] < sqnr[(site, "w4a8")] < sqnr[(site, "w2a8")]
    # At one site of one network errors may cancel by luck, so the divergence is compared over all sites.
    for table in (kl, fisher):
        totals = [sum(table[(s, o)] for s in conv.options) for o in ("w8a8", "w4a8", "w2a8")]
        assert totals[0] < totals[1] < totals[2]


def test_fisher_approaches_the_kl_of_a_small_change(conv):
    kl, fisher = kl_table(*conv.args()), fisher_table(*conv.args(), seed=0, draws=32)
    ratios = [fisher[(s, "w8a8")] / kl[(s, "w8a8")] for s in conv.options]
    assert 0.5 < float(np.median(ratios)) < 2.0


def test_tokens_of_a_language_model_are_samples(tokens):
    kl, fisher = kl_table(*tokens.args()), fisher_table(*tokens.args(), seed=0, draws=8)
    assert agreement(kl, fisher) > 0.8
    ratios = [fisher[(s, "w4a8")] / kl[(s, "w4a8")] for s in tokens.options]
    assert 0.3 < float(np.median(ratios)) < 3.0


def test_embeddings_are_judged_by_relative_squared_error(conv):
    kl = kl_table(*conv.args(), task="embedding")
    fisher = fisher_table(*conv.args(), seed=0, task="embedding", draws=8)
    assert agreement(kl, fisher) > 0.8
    assert 0.3 < fisher[("head", "w3a8")] / kl[("head", "w3a8")] < 3.0


def test_the_seed_decides_the_drawn_labels(conv):
    one, same, other = (fisher_table(*conv.args(), seed=s) for s in (1, 1, 2))
    assert one == same
    assert one != other


def test_progress_ends_at_the_total(conv):
    seen = []
    kl_table(*conv.args(), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] == 32 * 4 * len(conv.options)


def test_a_quantizer_that_gives_nan_is_named(conv):
    traced, samples, _, _, _ = conv.args()

    def broken(site, option):
        weight = conv.maker.weight(site, option)
        weight.scale[:] = np.nan
        return weight

    with pytest.raises(EvaluationError, match="w8a8 at 'head'"):
        kl_table(traced, samples, broken, conv.maker.edges, {"head": ("fp", "w8a8")})


def test_divergence_has_its_closed_form():
    p, q = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.25, 0.75]])
    expected = 0.5 * np.log(2) + 0.5 * np.log(0.5 / 0.75)
    assert float(divergence(p.log(), q.log(), "logits")[0]) == pytest.approx(expected, rel=1e-5)
    assert float(divergence(torch.ones(1, 2), torch.zeros(1, 2), "embedding")[0]) == 1.0


def test_agreement_needs_something_to_rank():
    table = {("a", "w8a8"): 1.0, ("b", "w8a8"): 2.0, ("c", "w8a8"): 3.0}
    assert agreement(table, {k: -v for k, v in table.items()}) == pytest.approx(-1.0)
    with pytest.raises(EvaluationError, match="three options"):
        agreement(table, {("a", "w8a8"): 1.0})


def test_a_table_is_computed_once_for_equal_content(conv, tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {("head", "w8a8"): 0.25}

    for _ in range(2):
        key = table_key("kl", conv.traced, conv.samples, conv.options, {"seed": 0})
        assert cached_table(ContentCache(tmp_path), key, compute) == {("head", "w8a8"): 0.25}
    assert len(calls) == 1
    other = table_key("kl", conv.traced, conv.samples.take(slice(0, 4)), conv.options, {"seed": 0})
    cached_table(ContentCache(tmp_path), other, compute)
    assert len(calls) == 2
