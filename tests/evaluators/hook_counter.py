"""Counts of a module as it runs: hooks on its layers, and every product that torch dispatches."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.attention import SDPBackend
from torch.nn.attention import sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def counted_layers(module, inputs):
    """Return by layer name the multiply-accumulates of one forward, from the tensors that pass."""
    found: dict[str, int] = {}
    names = {m: n for n, m in module.named_modules()}

    def hook(layer, args, out):
        each = layer.weight[0].numel()
        found[names[layer]] = found.get(names[layer], 0) + out.numel() * each

    handles = [
        m.register_forward_hook(hook) for m in module.modules() if isinstance(m, nn.Linear | nn.Conv2d)
    ]
    try:
        with torch.no_grad():
            module(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found


def counted_products(module, inputs):
    """Return the multiply-accumulates of every matrix product and convolution of one forward."""
    # torch's counter does not know the fused attention of CPUs, so attention runs as products.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs)
    return counter.get_total_flops() / 2
