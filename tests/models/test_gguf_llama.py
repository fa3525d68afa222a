from __future__ import annotations

import gguf
import numpy as np
import pytest
import torch
from transformers import LlamaConfig
from transformers import LlamaForCausalLM

from automl.core.errors import ModelError
from automl.models.gguf_llama import load_gguf_llama

_HEADS, _KV_HEADS, _WIDTH = 4, 2, 32
_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "input_layernorm.weight": "attn_norm.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
}
_TOKENS = ["<|endoftext|>", "a", "b", "Ġ", "ab", "Ġa"] + [chr(c) for c in range(99, 123)] + ["1", "2"]


def _model():
    config = LlamaConfig(
        vocab_size=len(_TOKENS),
        hidden_size=_WIDTH,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=_HEADS,
        num_key_value_heads=_KV_HEADS,
        max_position_embeddings=64,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).eval()


def _interleaved(weight, heads):
    """The row order llama.cpp's converter writes: rotary pairs next to each other."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _write(path, model, *, architecture="llama", skip=""):
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(2)
    writer.add_context_length(64)
    writer.add_embedding_length(_WIDTH)
    writer.add_feed_forward_length(48)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(_TOKENS)
    writer.add_token_merges(["a b", "Ġ a"])
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        array = tensor.numpy()
        if "q_proj" in name:
            array = _interleaved(array, _HEADS)
        if "k_proj" in name:
            array = _interleaved(array, _KV_HEADS)
        if name in _NAMES:
            out = _NAMES[name]
        else:
            _, _, layer, rest = name.split(".", 3)
            out = f"blk.{layer}.{_NAMES[rest]}"
        if out != skip:
            writer.add_tensor(out, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_logits_equal_those_of_the_model_that_was_written(tmp_path):
    model = _model()
    _write(tmp_path / "m.gguf", model)
    loaded, _ = load_gguf_llama(tmp_path / "m.gguf")
    ids = torch.arange(12)[None]
    with torch.no_grad():
        assert torch.allclose(loaded(ids).logits, model(ids).logits, atol=1e-5)
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight


def test_tokenizer_merges_bytes_and_splits_digits(tmp_path):
    _write(tmp_path / "m.gguf", _model())
    _, tokenizer = load_gguf_llama(tmp_path / "m.gguf")
    ids = tokenizer.encode("ab ab12").ids
    assert [_TOKENS[i] for i in ids] == ["ab", "Ġ", "ab", "1", "2"]
    assert tokenizer.decode(ids) == "ab ab12"


def test_other_architecture_is_refused(tmp_path):
    _write(tmp_path / "m.gguf", _model(), architecture="gemma")
    with pytest.raises(ModelError, match="architecture 'gemma'"):
        load_gguf_llama(tmp_path / "m.gguf")


def test_missing_tensor_is_named(tmp_path):
    _write(tmp_path / "m.gguf", _model(), skip="blk.1.ffn_up.weight")
    with pytest.raises(ModelError, match=r"lacks the weight 'model\.layers\.1\.mlp\.up_proj\.weight'"):
        load_gguf_llama(tmp_path / "m.gguf")


def test_damaged_file_is_refused(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"not a gguf file at all, but long enough to be read")
    with pytest.raises(ModelError, match="cannot be read as GGUF"):
        load_gguf_llama(tmp_path / "m.gguf")
