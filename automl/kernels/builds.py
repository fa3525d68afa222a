"""What a Triton kernel needs to be compiled without a device: types, constants and launch shape."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

__all__ = ["Build"]


@dataclass(frozen=True)
class Build:
    """One shipped configuration of one kernel function.

    Args:
        config: name in listings, for example ``decode-float16``.
        function: the ``triton.jit`` function.
        types: argument name -> Triton type such as ``*fp16`` or ``i64``; all that are no constants.
        constants: argument name -> value of ``tl.constexpr`` arguments, and of strides fixed to 1.
        aligned: arguments that are multiples of 16 (pointers in bytes, integers as such) in the hot case.
        warps: warps of 32 threads of one program.
        stages: software-pipeline stages.
        tensor_core: operand type whose matrix instructions must be there (``int8``, ``fp16``), or empty.
        hot: operand -> how its loads in the function's source begin; each must read 16 bytes at a time.
        narrow: operand of much traffic -> why its loads are shorter.
    """

    config: str
    function: Any
    types: dict[str, str]
    constants: dict[str, Any] = field(default_factory=dict)
    aligned: tuple[str, ...] = ()
    warps: int = 4
    stages: int = 2
    tensor_core: str = ""
    hot: dict[str, str] = field(default_factory=dict)
    narrow: dict[str, str] = field(default_factory=dict)

    def load_lines(self) -> dict[str, tuple[int, ...]]:
        """Return operand -> lines of its loads in the source file, for the hot operands.

        Raises:
            ValueError: the source has no such load.
        """
        lines, first = inspect.getsourcelines(self.function.fn)
        found = {}
        for operand, text in self.hot.items():
            found[operand] = tuple(first + i for i, s in enumerate(lines) if s.strip().startswith(text))
            if not found[operand]:
                raise ValueError(f"configuration '{self.config}' names the load '{text}', not in its source")
        return found

    def source_file(self) -> str:
        """Return folder and name of the file that holds the function."""
        return "/".join(Path(inspect.getsourcefile(self.function.fn) or "").parts[-2:])
