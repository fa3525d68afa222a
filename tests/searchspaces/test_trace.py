import onnx
import pytest
import torch
from torch import nn

from automl.core.errors import ModelError
from automl.searchspaces.graph import ModelGraph
from automl.searchspaces.trace import restore_traced
from automl.searchspaces.trace import trace_model


def test_folded_module_computes_the_same_at_other_batches(traced_conv):
    model, _, traced = traced_conv
    x = torch.randn(3, 3, 15, 15)
    assert traced.dynamic_batch
    torch.testing.assert_close(traced.module(x), model(x), rtol=1e-4, atol=1e-4)


def test_folding_gives_the_textbook_weight_and_leaves_the_original_alone(traced_conv):
    model, _, traced = traced_conv
    block = model.blocks[0]
    factor = block.bn2.weight / torch.sqrt(block.bn2.running_var + block.bn2.eps)
    folded = traced.module.get_parameter("blocks.0.pw.weight")
    torch.testing.assert_close(folded, block.pw.weight * factor[:, None, None, None])
    bias = (block.pw.bias - block.bn2.running_mean) * factor + block.bn2.bias
    torch.testing.assert_close(traced.module.get_parameter("blocks.0.pw.bias"), bias)
    assert block.dw.bias is None


@pytest.mark.parametrize("fixture", ["traced_conv", "traced_tokens"])
def test_onnx_values_and_weights_have_the_names_of_nodes_and_sites(fixture, request, tmp_path):
    traced = request.getfixturevalue(fixture)[2]
    torch.onnx.export(
        traced.program,
        (),
        tmp_path / "m.onnx",
        dynamo=True,
        optimize=False,
        external_data=False,
        verbose=False,
    )
    graph = onnx.load(tmp_path / "m.onnx").graph
    weights = {i.name for i in graph.initializer}
    values = weights | {i.name for i in graph.input} | {o for n in graph.node for o in n.output}
    missing = [
        n.name
        for n in traced.graph.nodes
        if n.name not in values and n.op not in ("output", "unbind", "batch_norm")
    ]
    assert missing == []
    assert [s.name for s in traced.graph.sites if f"{s.name}.weight" not in weights] == []


def test_module_and_program_have_the_same_nodes(traced_tokens):
    traced = traced_tokens[2]
    of = [
        [n.name for n in g.nodes if n.op == "call_function"]
        for g in (traced.module.graph, traced.program.graph)
    ]
    assert of[0] == of[1]


def test_stored_matrix_products_become_linear_sites():
    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = nn.Module()
            self.mix.weight = nn.Parameter(torch.randn(4, 6))

        def forward(self, x):
            return x @ self.mix.weight

    model = Product()
    traced = trace_model(model, (torch.randn(2, 4),))
    assert traced.graph.site("mix").weight_shape == (6, 4)
    x = torch.randn(5, 4)
    torch.testing.assert_close(traced.module(x), model(x))


def test_linear_followed_by_batch_norm_is_folded():
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6))
    model[1].running_var.mul_(3.0)
    model[1].running_mean.add_(1.0)
    model.eval()
    traced = trace_model(model, (torch.randn(2, 4),))
    assert [n.op for n in traced.graph.nodes] == ["input", "linear", "output"]


def test_training_mode_is_restored():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout())
    model.train()
    traced = trace_model(model, (torch.randn(2, 4),))
    assert model.training
    assert model[1].training
    assert not any("dropout" in n.op for n in traced.graph.nodes)


def test_a_model_that_fixes_its_batch_is_traced_for_it():
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            return self.fc(x.reshape(2, 4))

    traced = trace_model(Fixed(), (torch.randn(2, 4),))
    assert not traced.dynamic_batch


def test_data_dependent_control_flow_is_refused_with_advice():
    class Branch(nn.Module):
        def forward(self, x):
            return x + 1 if x.sum() > 0 else x - 1

    with pytest.raises(ModelError, match=r"torch.export refuses the model.*--input"):
        trace_model(Branch(), (torch.randn(2, 4),))


def test_not_finite_weights_and_outputs_are_refused():
    model = nn.Linear(4, 4)
    with torch.no_grad():
        model.weight[0, 0] = float("nan")
    with pytest.raises(ModelError, match="weight 'weight' holds NaN"):
        trace_model(model, (torch.randn(2, 4),))

    class Root(nn.Module):
        def forward(self, x):
            return torch.sqrt(x)

    with pytest.raises(ModelError, match="outputs hold NaN"):
        trace_model(Root(), (-torch.ones(2, 4),))


def test_inputs_of_a_wrong_shape_are_refused():
    with pytest.raises(ModelError, match=r"does not run on inputs of shape 2x5.*--input"):
        trace_model(nn.Linear(4, 4), (torch.randn(2, 5),))


def test_a_model_that_draws_random_numbers_is_refused():
    class Noisy(nn.Module):
        def forward(self, x):
            return x + torch.rand_like(x)

    with pytest.raises(ModelError, match="differs from the original"):
        trace_model(Noisy(), (torch.randn(2, 4),))


def stored(traced):
    """What a cache would give back: another program object and the graph through JSON."""
    return traced.program, ModelGraph.from_json(traced.graph.to_json())


def test_a_stored_trace_gives_the_same_model_again(traced_conv):
    model, inputs, traced = traced_conv
    again = restore_traced(model, inputs, *stored(traced), dynamic_batch=True)
    assert again.graph == traced.graph
    assert [n.name for n in again.module.graph.nodes] == [n.name for n in traced.module.graph.nodes]
    x = torch.randn(3, 3, 15, 15)
    torch.testing.assert_close(again.module(x), traced.module(x), rtol=0, atol=0)


def test_a_stored_trace_of_a_model_that_computes_something_else_is_refused():
    class Scaled(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.fc = nn.Linear(4, 4, bias=False)
            self.factor = factor

        def forward(self, x):
            return self.fc(x) * self.factor

    first, second = Scaled(1.0), Scaled(2.0)
    second.load_state_dict(first.state_dict())
    inputs = (torch.zeros(2, 4),)  # on which both agree
    with pytest.raises(ModelError, match="differs from the original"):
        restore_traced(second, inputs, *stored(trace_model(first, inputs)), dynamic_batch=True)
