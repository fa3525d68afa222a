import pytest
import torch

from automl.evaluators.suffix import Change
from automl.evaluators.suffix import SuffixRunner
from automl.searchspaces.trace import trace_model
from automl.transforms.materialize import dequantize
from automl.transforms.materialize import materialize
from automl.transforms.plan import QuantizationPlan
from tests.evaluators.minmax import MinMax
from tests.searchspaces.networks import conv_net
from tests.searchspaces.networks import token_net


@pytest.fixture(scope="module", params=[conv_net, token_net])
def case(request):
    model, inputs = request.param()
    batch = tuple(torch.cat([t, t.flip(-1)]) for t in inputs)
    return trace_model(model, inputs), batch


def change_of(traced, batch, site):
    maker = MinMax(traced, batch)
    weight = torch.from_numpy(dequantize(maker.weight(site, "w3a8")))
    return Change({f"{site}.weight": weight}, maker.edges(site, "w3a8"))


def test_the_unchanged_run_is_the_module(case):
    traced, batch = case
    with torch.inference_mode():
        torch.testing.assert_close(
            SuffixRunner(traced).run(batch)[0], traced.module(*batch), rtol=1e-4, atol=1e-4
        )


def test_a_rerun_from_a_boundary_equals_the_run_from_the_input_exactly(case):
    traced, batch = case
    runner, whole = SuffixRunner(traced), SuffixRunner(traced)
    with torch.inference_mode():
        runner.run(batch)
        whole.run(batch)
        whole._stored = {0: whole._stored[0]}
        for site in traced.graph.sites:
            change = change_of(traced, batch, site.name)
            assert torch.equal(runner.rerun(change)[0], whole.rerun(change)[0]), site.name


def test_reruns_do_not_disturb_each_other(case):
    traced, batch = case
    runner = SuffixRunner(traced)
    first, last = traced.graph.sites[0].name, traced.graph.sites[-1].name
    with torch.inference_mode():
        runner.run(batch)
        before = runner.rerun(change_of(traced, batch, last))[0].clone()
        runner.rerun(change_of(traced, batch, first))
        assert torch.equal(runner.rerun(change_of(traced, batch, last))[0], before)


def test_a_rerun_computes_what_the_materialized_plan_computes(case):
    traced, batch = case
    maker, runner = MinMax(traced, batch), SuffixRunner(traced)
    site = traced.graph.sites[2].name
    plan = QuantizationPlan({site: maker.weight(site, "w3a8")}, {})
    weight = torch.from_numpy(dequantize(plan.weights[site]))
    with torch.inference_mode():
        runner.run(batch)
        got = runner.rerun(Change({f"{site}.weight": weight}))[0]
        torch.testing.assert_close(got, materialize(traced, plan)(*batch), rtol=1e-3, atol=1e-3)


def test_a_change_of_nothing_is_refused(case):
    traced, batch = case
    runner = SuffixRunner(traced)
    runner.run(batch)
    with pytest.raises(ValueError, match="touches no node"):
        runner.rerun(Change())
