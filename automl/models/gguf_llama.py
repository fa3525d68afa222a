"""Llama-architecture models from GGUF files, dequantized to float32.

Reads the file with the ``gguf`` package and builds transformers' own Llama, so ``accelerate`` (which
transformers wants for its GGUF path) is not needed. GGUF stores the query and key rows interleaved for its
rotary layout; they are put back into the order that transformers' rotary embedding takes.
"""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers import decoders
from tokenizers import models
from tokenizers import pre_tokenizers
from transformers import LlamaConfig
from transformers import LlamaForCausalLM

from automl.core.errors import MissingExtraError
from automl.core.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["load_gguf_llama"]

_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_TOP_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


def load_gguf_llama(path: Path) -> tuple[LlamaForCausalLM, Tokenizer]:
    """Return the float32 model in evaluation mode and its tokenizer.

    Raises:
        MissingExtraError: the gguf package is not installed.
        ModelError: the file is damaged or of another architecture.
    """
    try:
        gguf = importlib.import_module("gguf")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            'reading GGUF files needs the gguf package; run: pip install "automl[zoo]"'
        ) from error
    try:
        reader = gguf.GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items()}
    except (ValueError, OSError, IndexError, KeyError) as error:
        raise ModelError(f"'{path}' cannot be read as GGUF ({error}); give an undamaged file") from error
    if fields.get("general.architecture") != "llama":
        raise ModelError(
            f"'{path}' holds the architecture '{fields.get('general.architecture')}'; only 'llama' GGUF "
            "files can be "
            "read, so give the model as a Hugging Face folder"
        )
    names = {tensor.name for tensor in reader.tensors}
    config = _config(fields, tied="output.weight" not in names)
    state: dict[str, torch.Tensor] = {}
    for tensor in reader.tensors:
        array = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if ".attn_q." in tensor.name:
            array = _half_split_rows(array, config.num_attention_heads)
        elif ".attn_k." in tensor.name:
            array = _half_split_rows(array, config.num_key_value_heads)
        state[_name(tensor.name)] = torch.from_numpy(np.array(array, dtype=np.float32))
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    model.load_state_dict(state, strict=False, assign=True)
    model.tie_weights()
    # Buffers are not in the file; the rotary table is rebuilt off the meta device.
    model.model.rotary_emb = type(model.model.rotary_emb)(config)
    stuck = [key for key, tensor in model.state_dict().items() if tensor.is_meta]
    if stuck:
        raise ModelError(f"'{path}' lacks the weight '{stuck[0]}'; give an undamaged file")
    return model.eval(), _tokenizer(fields)


def _config(fields: dict[str, Any], *, tied: bool) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(fields["tokenizer.ggml.tokens"]),
        hidden_size=fields["llama.embedding_length"],
        intermediate_size=fields["llama.feed_forward_length"],
        num_hidden_layers=fields["llama.block_count"],
        num_attention_heads=fields["llama.attention.head_count"],
        num_key_value_heads=fields["llama.attention.head_count_kv"],
        max_position_embeddings=fields["llama.context_length"],
        rms_norm_eps=fields["llama.attention.layer_norm_rms_epsilon"],
        rope_parameters={"rope_theta": fields["llama.rope.freq_base"], "rope_type": "default"},
        tie_word_embeddings=tied,
        bos_token_id=fields.get("tokenizer.ggml.bos_token_id"),
        eos_token_id=fields.get("tokenizer.ggml.eos_token_id"),
        pad_token_id=fields.get("tokenizer.ggml.padding_token_id"),
        attn_implementation="eager",
    )


def _half_split_rows(weight: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Return rows (2 i, 2 i + 1) of every head moved to (i, i + half)."""
    rows, columns = weight.shape
    pairs = weight.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)


def _name(name: str) -> str:
    if name in _TOP_NAMES:
        return _TOP_NAMES[name]
    found = re.fullmatch(r"blk\.(\d+)\.(\w+)\.(weight|bias)", name)
    if found is None or found.group(2) not in _LAYER_NAMES:
        raise ModelError(f"the GGUF tensor '{name}' has no place in a Llama model; give a plain Llama file")
    layer, part, kind = found.groups()
    return f"model.layers.{layer}.{_LAYER_NAMES[part]}.{kind}"


def _tokenizer(fields: dict[str, Any]) -> Tokenizer:
    if fields.get("tokenizer.ggml.model") != "gpt2":
        raise ModelError(
            f"the GGUF tokenizer '{fields.get('tokenizer.ggml.model')}' is unknown; only byte-level BPE "
            "('gpt2') is read"
        )
    vocabulary = {token: i for i, token in enumerate(fields["tokenizer.ggml.tokens"])}
    merges = [tuple(pair.split(" ", 1)) for pair in fields["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
