"""Small networks, traced: a convolutional one, an encoder, and a decoder with grouped attention."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from automl.models.wrappers import CausalLogits
from automl.searchspaces.trace import trace_model

LENGTH, HIDDEN, HEADS, KV_HEADS, WIDE, VOCABULARY = 12, 32, 4, 2, 80, 64


class Convolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.depth = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.point = nn.Conv2d(8, 16, 1)
        self.head = nn.Linear(16, 10)

    def forward(self, x):
        x = torch.relu(self.first(x))
        x = torch.relu(self.point(torch.relu(self.depth(x))))
        return self.head(x.mean((2, 3)))


class Encoder(nn.Module):
    def __init__(self, fused):
        super().__init__()
        self.fused = fused
        self.table = nn.Embedding(VOCABULARY, HIDDEN)
        self.q, self.k, self.v, self.o = (nn.Linear(HIDDEN, HIDDEN) for _ in range(4))
        self.norm = nn.LayerNorm(HIDDEN)
        self.up, self.down = nn.Linear(HIDDEN, WIDE), nn.Linear(WIDE, HIDDEN)

    def forward(self, ids):
        x = self.table(ids)
        b, s, _ = x.shape
        q, k, v = (f(x).view(b, s, HEADS, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        if self.fused:
            y = nn.functional.scaled_dot_product_attention(q, k, v)
        else:
            y = torch.softmax(q @ k.transpose(2, 3) * 0.25, -1) @ v
        x = self.norm(x + self.o(y.transpose(1, 2).reshape(b, s, HIDDEN)))
        return x + self.down(nn.functional.gelu(self.up(x)))


def _seeded(make):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return make().eval()


@cache
def convolutions():
    module = _seeded(Convolutions)
    return module, trace_model(module, (torch.zeros(1, 3, 16, 16),)).graph


@cache
def encoder(fused=False):
    module = _seeded(lambda: Encoder(fused))
    return module, trace_model(module, (torch.zeros(1, LENGTH, dtype=torch.long),)).graph


@cache
def decoder():
    from transformers import LlamaConfig
    from transformers import LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=WIDE,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        max_position_embeddings=64,
        attn_implementation="eager",
    )
    module = _seeded(lambda: CausalLogits(LlamaForCausalLM(config), LENGTH))
    return module, trace_model(module, (torch.zeros(1, LENGTH, dtype=torch.long),)).graph
