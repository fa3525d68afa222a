from __future__ import annotations

import json

import pytest
import tokenizers
import torch
from transformers import BertConfig
from transformers import BertForSequenceClassification
from transformers import BertModel
from transformers import GPT2Config
from transformers import GPT2LMHeadModel
from transformers import LlamaConfig
from transformers import LlamaForCausalLM
from transformers import ResNetConfig
from transformers import ResNetForImageClassification

from automl.core.errors import ModelError
from automl.models.hugging_face import load_folder


def _tokenizer(folder):
    words = {"[PAD]": 0, "[UNK]": 1, "hello": 2, "world": 3}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.enable_padding(length=20)
    made.save(str(folder / "tokenizer.json"))


def _bert_config():
    return BertConfig(
        vocab_size=40,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=48,
    )


def _save(folder, model):
    model.eval().save_pretrained(folder)
    _tokenizer(folder)
    return model


@pytest.fixture
def bert(tmp_path):
    return tmp_path, _save(tmp_path, BertModel(_bert_config()))


def test_encoder_gives_the_pooled_vector_of_the_saved_model(bert):
    folder, model = bert
    loaded = load_folder(folder)
    ids, mask = loaded.example_inputs
    with torch.no_grad():
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state.mean(1)
        expected = hidden / hidden.norm(dim=1, keepdim=True)
        assert torch.allclose(loaded.module(ids, mask), expected, atol=1e-5)
    assert (loaded.task, ids.shape, loaded.name) == ("encoder", (1, 48), folder.name)
    assert len(loaded.tokenizer.encode("hello").ids) == 1


def test_pooling_of_the_folder_is_honored(bert):
    folder, model = bert
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    loaded = load_folder(folder, ((1, 8),))
    with torch.no_grad():
        first = model(*loaded.example_inputs).last_hidden_state[:, 0]
        assert torch.allclose(
            loaded.module(*loaded.example_inputs), first / first.norm(dim=1, keepdim=True), atol=1e-5
        )


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_causal_model_gives_the_logits_of_the_saved_model(tmp_path, kind):
    if kind == "llama":
        config = LlamaConfig(
            vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2
        )
        model = _save(tmp_path, LlamaForCausalLM(config))
    else:
        model = _save(
            tmp_path,
            GPT2LMHeadModel(
                GPT2Config(vocab_size=40, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)
            ),
        )
    loaded = load_folder(tmp_path, ((1, 10),))
    with torch.no_grad():
        expected = model(input_ids=loaded.example_inputs[0]).logits
        assert torch.allclose(loaded.module(*loaded.example_inputs), expected, atol=1e-5)
    assert (loaded.task, loaded.input_shapes) == ("causal-lm", ((1, 10),))


def test_image_classifier_reads_its_preprocessing(tmp_path):
    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], num_labels=7)
    model = _save(tmp_path, ResNetForImageClassification(config))
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "resample": 2})
    )
    loaded = load_folder(tmp_path, ((1, 3, 32, 32),))
    with torch.no_grad():
        expected = model(pixel_values=loaded.example_inputs[0]).logits
        assert torch.allclose(loaded.module(*loaded.example_inputs), expected, atol=1e-5)
    assert (loaded.task, loaded.n_classes) == ("image-classification", 7)
    assert (loaded.image.mean, loaded.image.interpolation) == ((0.1, 0.2, 0.3), "bilinear")


def test_head_that_would_be_dropped_is_refused(tmp_path):
    _save(tmp_path, BertForSequenceClassification(_bert_config()))
    with pytest.raises(ModelError, match="BertForSequenceClassification"):
        load_folder(tmp_path)


def test_pickled_weights_are_refused(bert):
    folder, model = bert
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"only the pickle 'pytorch_model\.bin'"):
        load_folder(folder)
    (folder / "pytorch_model.bin").rename(folder / "model.safetensors")
    with pytest.raises(ModelError, match="is a pickle"):
        load_folder(folder)


def test_damaged_weights_are_one_sentence(bert):
    folder, _ = bert
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ModelError, match="cannot be loaded") as error:
        load_folder(folder)
    assert "\n" not in str(error.value)


def test_missing_weights_of_a_layer_are_named(bert):
    folder, _ = bert
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 2}))
    with pytest.raises(ModelError, match=r"names are missing, the first is 'encoder\.layer\.1"):
        load_folder(folder)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_bad_config_is_refused(bert, text):
    folder, _ = bert
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelError, match=r"config\.json'"):
        load_folder(folder)


def test_folder_without_config_or_tokenizer_is_refused(bert):
    folder, _ = bert
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"no tokenizer\.json"):
        load_folder(folder)
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"config\.json' does not exist"):
        load_folder(folder)


def test_bad_tokenizer_is_refused(bert):
    folder, _ = bert
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="not a tokenizer file"):
        load_folder(folder)


def test_loading_prints_nothing(bert, capsys):
    load_folder(bert[0])
    out, err = capsys.readouterr()
    assert (out, err) == ("", "")
