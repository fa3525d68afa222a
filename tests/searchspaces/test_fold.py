import torch
from torch import fx
from torch import nn

from automl.searchspaces.fold import fold_batch_norm
from automl.searchspaces.fold import functional_ops
from automl.searchspaces.fold import mean_from_pool
from automl.searchspaces.fold import name_weights


def exported(module: nn.Module, *inputs: torch.Tensor) -> fx.GraphModule:
    return torch.export.export(module.eval(), inputs).module(check_guards=False)


def targets(gm: fx.GraphModule) -> list[str]:
    return [str(n.target).removeprefix("aten.") for n in gm.graph.nodes if n.op == "call_function"]


class Shared(nn.Module):
    """The convolution's own output is read beside the norm, so folding would change it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.bn = nn.BatchNorm2d(3)
        self.bn.running_mean.add_(1.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return self.bn(y) + y


def test_a_convolution_that_others_read_is_not_folded():
    x = torch.randn(2, 3, 4, 4)
    gm = exported(Shared(), x)
    before = gm(x)
    assert fold_batch_norm(gm) == 0
    torch.testing.assert_close(gm(x), before)


def test_folding_counts_and_drops_the_statistics():
    module = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    module[1].running_mean.add_(0.5)
    x = torch.randn(2, 3, 6, 6)
    gm = exported(module, x)
    before = gm(x)
    assert fold_batch_norm(gm) == 1
    torch.testing.assert_close(gm(x), before)
    assert sorted(gm.state_dict()) == ["0.bias", "0.weight"]


def test_a_norm_without_affine_parameters_folds():
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, affine=False))
    module[1].running_var.mul_(4.0)
    x = torch.randn(2, 3, 5, 5)
    gm = exported(module, x)
    before = gm(x)
    assert fold_batch_norm(gm) == 1
    torch.testing.assert_close(gm(x), before)


def test_a_norm_over_the_middle_axis_after_a_linear_layer_stays():
    module = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5))
    gm = exported(module, torch.randn(2, 5, 4))
    assert fold_batch_norm(gm) == 0


def test_in_place_operations_on_private_values_become_functional():
    class InPlace(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.hardtanh_(x * 2, 0.0, 6.0)

    x = torch.randn(2, 4)
    gm = exported(InPlace(), x)
    assert functional_ops(gm)
    assert targets(gm) == ["mul.Tensor", "clamp.default"]
    torch.testing.assert_close(gm(x), (x * 2).clamp(0, 6))


def test_in_place_writes_that_others_see_are_kept():
    class Seen(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x * 2
            z = y + 1
            y.relu_()
            return y + z

    x = torch.randn(2, 4)
    gm = exported(Seen(), x)
    assert not functional_ops(gm)
    torch.testing.assert_close(gm(x), (x * 2).relu() + x * 2 + 1)


def test_pooling_to_one_cell_becomes_a_mean_and_other_pooling_stays():
    x = torch.randn(2, 3, 4, 4)
    one, two = exported(nn.AdaptiveAvgPool2d(1), x), exported(nn.AdaptiveAvgPool2d(2), x)
    assert (mean_from_pool(one), mean_from_pool(two)) == (1, 0)
    torch.testing.assert_close(one(x), x.mean((-2, -1), keepdim=True))


def test_oddly_named_weights_get_a_weight_name():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.proj_weight = nn.Parameter(torch.randn(3, 4))
            self.kernel = nn.Parameter(torch.randn(3, 3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.linear(torch.nn.functional.linear(x, self.proj_weight), self.kernel)

    x = torch.randn(2, 4)
    gm = exported(Odd(), x)
    before = gm(x)
    name_weights(gm)
    gm.recompile()
    assert sorted(gm.state_dict()) == ["kernel.weight", "proj.weight"]
    torch.testing.assert_close(gm(x), before)
