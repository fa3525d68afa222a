"""What a Triton kernel needs to be compiled without a device: types, constants and launch shape."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
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
        warps: warps of one program.
        stages: software-pipeline stages.
        tensor_core: operand type whose matrix instructions must be there (``int8``, ``fp16``), or empty.
        wide_loads: whether the hot operands must be read 16 bytes at a time.
    """

    config: str
    function: Any
    types: dict[str, str]
    constants: dict[str, Any] = field(default_factory=dict)
    aligned: tuple[str, ...] = ()
    warps: int = 4
    stages: int = 2
    tensor_core: str = ""
    wide_loads: bool = True
