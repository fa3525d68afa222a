"""Models from a local Hugging Face folder: config.json and safetensors, nothing fetched, no remote code."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING
from typing import Any
from typing import Literal

import tokenizers
import torch

from automl.core.errors import ModelError
from automl.data.preprocessing import ImagePreprocessing
from automl.models.assembly import assemble
from automl.models.assembly import example_images
from automl.models.assembly import example_tokens
from automl.models.assembly import token_count
from automl.models.checkpoint import refuse_pickle
from automl.models.wrappers import ImageLogits
from automl.models.wrappers import SentenceEncoder
from automl.models.wrappers import wrap_causal

if TYPE_CHECKING:
    from pathlib import Path

    from automl.models.loaded import LoadedModel

__all__ = ["load_folder"]

_RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}


def load_folder(
    folder: Path,
    shapes: tuple[tuple[int, ...], ...] | None = None,
    *,
    name: str | None = None,
    source: str | None = None,
) -> LoadedModel:
    """Return the model of a Hugging Face folder.

    Its architecture decides: ``...ForCausalLM`` (logits of every position, no cache),
    ``...ForImageClassification``, and plain ``...Model`` encoders (unit-length sentence vectors, pooled as
    ``1_Pooling`` says, by default the mean).

    Raises:
        ModelError: files are missing, damaged, pickles, or of an architecture that cannot be served.
    """
    name = name or folder.resolve().name
    source = source or f"Hugging Face folder {folder}"
    config = _read_json(folder / "config.json")
    architecture = (config.get("architectures") or [""])[0]
    _check_files(folder)
    if architecture.endswith(("ForCausalLM", "LMHeadModel")):
        causal = _from_pretrained("AutoModelForCausalLM", folder)
        tokens = token_count(shapes, 128, _limit(config), name)
        examples = example_tokens(1, tokens, int(config["vocab_size"]))
        module: torch.nn.Module = wrap_causal(causal, examples[0])
        return assemble(
            name, module, examples, source, task="causal-lm", tokenizer=_tokenizer(folder, required=True)
        )
    if architecture.endswith("ForImageClassification"):
        module = ImageLogits(_from_pretrained("AutoModelForImageClassification", folder))
        size = int(config.get("image_size", 224))
        image = _image(folder, shapes or ((1, int(config.get("num_channels", 3)), size, size),))
        examples = example_images(shapes or ((1, len(image.mean), *image.size),))
        return assemble(name, module, examples, source, task="image-classification", image=image)
    if not architecture.endswith("Model"):
        raise ModelError(
            f"'{folder}' holds the architecture '{architecture}'; folders of ...ForCausalLM, "
            "...ForImageClassification "
            "and plain ...Model encoders can be loaded, so give others as module:function"
        )
    encoder = _from_pretrained("AutoModel", folder)
    tokens = token_count(shapes, 64, _limit(config), name)
    examples = example_tokens(2, tokens, int(config["vocab_size"]))
    module = SentenceEncoder(encoder, _pooling(folder))
    return assemble(
        name, module, examples, source, task="encoder", tokenizer=_tokenizer(folder, required=True)
    )


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ModelError(
            f"'{path}' does not exist; a Hugging Face folder holds config.json and *.safetensors"
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"'{path}' is not valid JSON ({error}); give an undamaged folder") from error
    if not isinstance(data, dict):
        raise ModelError(f"'{path}' must hold a JSON object; give an undamaged folder")
    return data


def _check_files(folder: Path) -> None:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        pickles = sorted([*folder.glob("*.bin"), *folder.glob("*.pth"), *folder.glob("*.pt")])
        found = f"only the pickle '{pickles[0].name}'" if pickles else "no weights"
        raise ModelError(
            f"'{folder}' holds {found}; weights must be *.safetensors, so save the model with "
            "save_pretrained(folder, safe_serialization=True)"
        )
    for file in files:
        refuse_pickle(file)


def _from_pretrained(kind: str, folder: Path) -> torch.nn.Module:
    import safetensors
    import transformers

    loader = getattr(transformers, kind)
    bars = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, report = loader.from_pretrained(
                str(folder),
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32,
                attn_implementation="eager",
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError, RuntimeError, safetensors.SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"'{folder}' cannot be loaded ({reason}); give an undamaged folder") from error
    finally:
        if bars:
            transformers.utils.logging.enable_progress_bar()
    missing = sorted(key for key in report["missing_keys"] if "pooler" not in key)
    if missing:
        raise ModelError(
            f"the weights in '{folder}' do not match its config.json: {len(missing)} names are missing, the "
            "first is "
            f"'{missing[0]}'; give the weights of this architecture"
        )
    module: torch.nn.Module = model.eval()
    return module


def _limit(config: dict[str, Any]) -> int:
    return int(config.get("max_position_embeddings") or config.get("n_positions") or 2048)


def _pooling(folder: Path) -> Literal["mean", "cls"]:
    path = folder / "1_Pooling" / "config.json"
    return "cls" if path.is_file() and _read_json(path).get("pooling_mode_cls_token") else "mean"


def _tokenizer(folder: Path, *, required: bool) -> tokenizers.Tokenizer | None:
    path = folder / "tokenizer.json"
    if not path.is_file():
        if required:
            raise ModelError(
                f"'{folder}' holds no tokenizer.json, which text models need; save a fast tokenizer"
            )
        return None
    # The tokenizers library raises bare Exception, so damage is looked for before it reads the file.
    if "type" not in _read_json(path).get("model", {}):
        raise ModelError(f"'{path}' is not a tokenizer file: it has no model type; give an undamaged folder")
    tokenizer = tokenizers.Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _image(folder: Path, shapes: tuple[tuple[int, ...], ...]) -> ImagePreprocessing:
    size = (shapes[0][-2], shapes[0][-1])
    path = folder / "preprocessor_config.json"
    config = _read_json(path) if path.is_file() else {}
    mean, std = config.get("image_mean"), config.get("image_std")
    default = ImagePreprocessing(size, crop_pct=float(config.get("crop_pct") or 1.0))
    if not mean or not std:
        return default
    resample = _RESAMPLING.get(config.get("resample", 3), "bicubic")
    return ImagePreprocessing(size, default.crop_pct, tuple(mean), tuple(std), resample)
