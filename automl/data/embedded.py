"""The data used when none is given: photographs and prose that installed packages ship; nothing is fetched.

Images are random crops of the photographs inside the scikit-image and scikit-learn wheels. Text is the
language reference that Python carries for ``help()``.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import sysconfig
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from automl.core.errors import DataError
from automl.core.rng import child_rng
from automl.core.samples import Samples
from automl.data.preprocessing import normalize
from automl.data.source import Source
from automl.data.source import shape_text
from automl.data.text import text_source

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from automl.data.preprocessing import ImagePreprocessing
    from automl.data.source import ModelInputs

__all__ = ["PHOTOGRAPHS", "embedded", "photographs", "prose"]

#: (package, path inside it) of the photographs that the wheels carry.
PHOTOGRAPHS: tuple[tuple[str, str], ...] = (
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/coffee.png"),
    ("skimage", "data/motorcycle_left.png"),
    ("skimage", "data/rocket.jpg"),
    ("skimage", "data/camera.png"),
    ("skimage", "data/coins.png"),
    ("skimage", "data/brick.png"),
    ("skimage", "data/grass.png"),
    ("skimage", "data/gravel.png"),
    ("skimage", "data/hubble_deep_field.jpg"),
    ("skimage", "data/ihc.png"),
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
)
#: Color scenes are drawn this much more often than textures and gray or scientific pictures.
_SCENES = frozenset({"astronaut", "chelsea", "coffee", "motorcycle_left", "rocket", "china", "flower"})
_SCENE_WEIGHT = 4.0
#: Side of a crop as part of the photograph's largest crop of the wanted shape.
_SCALES = (0.35, 1.0)
#: Library files whose documentation strings hold much prose.
_DOCUMENTED = (
    "argparse.py",
    "difflib.py",
    "doctest.py",
    "http/cookiejar.py",
    "ipaddress.py",
    "logging/__init__.py",
    "logging/handlers.py",
    "mailbox.py",
    "optparse.py",
    "statistics.py",
    "tarfile.py",
    "threading.py",
    "tkinter/__init__.py",
    "turtle.py",
    "unittest/case.py",
    "unittest/mock.py",
    "urllib/request.py",
    "zipfile.py",
)


def embedded(model: ModelInputs, count: int, seed: int) -> Source:
    """Return at least ``count`` samples where the kind of data allows it.

    Raises:
        DataError: the model takes neither images nor text, or the packages carry no photographs.
    """
    if model.image is not None:
        return _crops(model.image, count, seed)
    if model.tokenizer is not None:
        lines = list(prose()) if model.task == "causal-lm" else _sentences(prose())
        source = text_source(lines, model, "Python's documentation")
        return Source(source.name, source.count, source.read, ("no data given: using English prose",))
    shapes = ", ".join(shape_text(tuple(t.shape)) for t in model.example_inputs)
    raise DataError(
        f"no data given, and neither photographs nor prose fit inputs of shape {shapes}; give an npz file "
        "with arrays "
        "input_0, input_1, ... by --data"
    )


@cache
def photographs() -> dict[str, Image.Image]:
    """Return the photographs found in the installed packages, RGB, by name.

    Raises:
        DataError: none is there.
    """
    found = {}
    for package, inside in PHOTOGRAPHS:
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            path = Path(place) / inside
            if path.is_file():
                with Image.open(path) as image:
                    found[path.stem] = image.convert("RGB")
    if not found:
        raise DataError(
            "no data given, and the scikit-image and scikit-learn installed here carry no photographs; "
            "give images by --data"
        )
    return found


def _crops(how: ImagePreprocessing, count: int, seed: int) -> Source:
    pictures = photographs()
    names = sorted(pictures)
    weights = np.array([_SCENE_WEIGHT if name in _SCENES else 1.0 for name in names])

    def one(position: int) -> NDArray[np.float32]:
        rng = child_rng(seed, "crop", position)
        picture = pictures[names[int(rng.choice(len(names), p=weights / weights.sum()))]]
        height, width = how.size
        scale = float(rng.uniform(*_SCALES)) * min(picture.width / width, picture.height / height)
        wide, tall = max(1.0, width * scale), max(1.0, height * scale)
        left = float(rng.uniform(0, max(0.0, picture.width - wide)))
        top = float(rng.uniform(0, max(0.0, picture.height - tall)))
        box = (left, top, min(left + wide, picture.width), min(top + tall, picture.height))
        crop = picture.resize((width, height), how.resampling, box=box).convert(how.mode)
        if rng.random() < 0.5:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return normalize(np.asarray(crop, dtype=np.uint8), how)

    def read(index: NDArray[np.int64]) -> Samples:
        batch = np.empty((len(index), len(how.mean), *how.size), dtype=np.float32)
        for row, position in enumerate(index):
            batch[row] = one(int(position))
        return Samples((batch,))

    note = f"no data given: using random crops of {len(names)} photographs that installed packages ship"
    return Source("photograph crops", count, read, (note,))


@cache
def prose() -> tuple[str, ...]:
    """Return English paragraphs of Python's documentation, without tables and code.

    Raises:
        DataError: this Python carries neither.
    """
    topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    texts = [topics[name] for name in sorted(topics)]
    library = Path(sysconfig.get_path("stdlib"))
    for name in _DOCUMENTED:
        path = library / name
        if path.is_file():
            tree = ast.parse(path.read_text(encoding="utf-8"))
            documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
            texts += [ast.get_docstring(n) or "" for n in ast.walk(tree) if isinstance(n, documented)]
    blocks = (" ".join(block.split()) for text in texts for block in text.split("\n\n"))
    found = tuple(dict.fromkeys(block for block in blocks if _is_prose(block)))
    if not found:
        raise DataError("no data given, and this Python carries no documentation; give a text file by --data")
    return found


def _is_prose(text: str) -> bool:
    letters = sum(c.isalpha() or c.isspace() for c in text)
    sentence = text[:1].isupper() and text[-1:] in {".", "!", "?"}
    return len(text) >= 80 and sentence and letters >= 0.85 * len(text)


def _sentences(paragraphs: tuple[str, ...]) -> list[str]:
    parts = (part for text in paragraphs for part in re.split(r"(?<=[.!?])\s+(?=[A-Z])", text))
    return list(dict.fromkeys(part for part in parts if len(part) >= 30))
