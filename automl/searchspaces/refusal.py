"""Why torch.export refuses a model: the operation, the line of the model's own code, and what to do."""

from __future__ import annotations

import linecache
import re
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from automl.core.errors import ModelError

if TYPE_CHECKING:
    from types import FrameType
    from types import TracebackType

__all__ = ["refusal"]

_TORCH = str(Path(torch.__file__).parent)
_OURS = str(Path(__file__).resolve().parents[1])

#: What torch adds in brackets for its own developers.
_ASIDES = re.compile(r"\s*\((?:unhinted|Size-like symbols):[^()]*(?:\([^()]*\))?[^()]*\)\.?")

#: Longest reason that is quoted.
_LONGEST = 240


def refusal(error: BaseException) -> ModelError:
    """Return the error that names what export could not take, in one sentence.

    The operation is the one in the error's text, or the tensor method that export was carrying out; the line
    is the innermost one outside torch and this package, which for a branch or a size that depends on values
    is the place to change.
    """
    frames = _frames(error.__traceback__)
    places = [place for frame, line in frames if (place := _place(frame, line))]
    named = re.search(r"(?:torch\.ops\.)?(aten[.:]+[\w.]+)", str(error))
    methods = [m for frame, _ in frames if (m := _method(frame))]
    op = named.group(1) if named else methods[-1] if methods else ""
    where = f" at {op}" if op else ""
    where += f" ({places[-1]})" if places else ""
    return ModelError(
        f"torch.export refuses the model{where}: {_reason(error)}; give another example with --input, "
        "or remove data-dependent control flow from its forward"
    )


def _frames(trace: TracebackType | None) -> list[tuple[FrameType, int]]:
    found = []
    while trace is not None:
        found.append((trace.tb_frame, trace.tb_lineno))
        trace = trace.tb_next
    return found


def _place(frame: FrameType, line: int) -> str:
    """Return ``file:line: code`` of a frame in the model's own code, else nothing."""
    file = frame.f_code.co_filename
    if file.startswith((_TORCH, _OURS, "<")) or frame.f_code.co_name == "<module>":
        return ""
    code = linecache.getline(file, line).strip()
    return f"{Path(file).name}:{line}: {code}" if code else ""


def _method(frame: FrameType) -> str:
    """Return the tensor method that a frame of torch carries out, such as ``Tensor.__bool__``."""
    if frame.f_code.co_name != "__torch_function__":
        return ""
    name = getattr(frame.f_locals.get("func"), "__name__", "")
    return f"Tensor.{name}" if name else ""


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    return _ASIDES.sub("", first)[:_LONGEST]
