from __future__ import annotations

import torch
from torch import nn
from transformers import BertConfig
from transformers import BertModel
from transformers import LlamaConfig
from transformers import LlamaForCausalLM

from automl.models.wrappers import CausalLogits
from automl.models.wrappers import SentenceEncoder
from automl.models.wrappers import wrap_causal


def _llama():
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        attn_implementation="eager",
    )
    return LlamaForCausalLM(config).eval()


def _bert():
    config = BertConfig(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        attn_implementation="eager",
    )
    return BertModel(config).eval()


def _ids(rows=2, tokens=9):
    return torch.randint(0, 50, (rows, tokens), generator=torch.Generator().manual_seed(0))


def test_constant_mask_and_tables_give_transformers_logits():
    model, ids = _llama(), _ids()
    with torch.no_grad():
        expected = model(input_ids=ids).logits
    wrapped = wrap_causal(model, ids[:1])
    assert wrapped.tokens == 9
    with torch.no_grad():
        assert torch.allclose(wrapped(ids), expected, atol=1e-5)


def test_later_tokens_do_not_change_earlier_logits():
    wrapped, ids = wrap_causal(_llama(), _ids(1)), _ids(1)
    changed = ids.clone()
    changed[0, 6:] = (changed[0, 6:] + 1) % 50
    with torch.no_grad():
        assert torch.allclose(wrapped(ids)[0, :6], wrapped(changed)[0, :6], atol=1e-5)
        assert not torch.allclose(wrapped(ids)[0, 6:], wrapped(changed)[0, 6:], atol=1e-5)


class IgnoresMasks(nn.Module):
    """A model with its own reading of masks, for which constants are wrong."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(50, 50)

    def forward(self, input_ids, attention_mask=None, position_ids=None, use_cache=False):
        logits = self.table(input_ids)
        if attention_mask is not None:
            logits = logits + 1.0
        return type("Out", (), {"logits": logits})()


def test_a_model_that_answers_differently_keeps_its_own_masks():
    ids = _ids(1)
    wrapped = wrap_causal(IgnoresMasks(), ids)
    assert isinstance(wrapped, CausalLogits)
    assert wrapped.tokens is None


def test_constants_leave_less_in_the_traced_graph():
    ids = _ids(1)
    plain = torch.export.export(CausalLogits(_llama()).eval(), (ids,))
    fixed = torch.export.export(wrap_causal(_llama(), ids), (ids,))
    targets = {str(node.target) for node in fixed.graph.nodes}
    assert len(fixed.graph.nodes) < len(plain.graph.nodes)
    assert not any("cumsum" in t or "index" in t or "set_grad" in t for t in targets)


def test_sentence_vector_is_the_masked_mean_of_unit_length():
    encoder, ids = _bert(), _ids()
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    with torch.no_grad():
        hidden = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        expected = mean / mean.norm(dim=1, keepdim=True)
        actual = SentenceEncoder(encoder).eval()(ids, mask)
    assert torch.allclose(actual, expected, atol=1e-5)


def test_padding_does_not_change_the_sentence_vector():
    wrapped, ids = SentenceEncoder(_bert()).eval(), _ids(1)
    mask = torch.ones_like(ids)
    mask[0, 6:] = 0
    changed = ids.clone()
    changed[0, 6:] = 3
    with torch.no_grad():
        assert torch.allclose(wrapped(ids, mask), wrapped(changed, mask), atol=1e-6)
        assert torch.isfinite(wrapped(ids, torch.zeros_like(mask))).all()


def test_first_token_pooling_differs_from_the_mean():
    encoder, ids = _bert(), _ids()
    mask = torch.ones_like(ids)
    with torch.no_grad():
        hidden = encoder(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
        actual = SentenceEncoder(encoder, "cls").eval()(ids, mask)
    assert torch.allclose(actual, hidden / hidden.norm(dim=1, keepdim=True), atol=1e-5)
