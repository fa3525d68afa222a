"""Triton's own state and compiler, behind functions that name no type of Triton."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

if TYPE_CHECKING:
    from automl.kernels.builds import Build

__all__ = ["Binary", "compile_build", "cuobjdump_path", "interpreting"]


@dataclass(frozen=True)
class Binary:
    """What the compiler made of one build.

    Args:
        cubin: the binary of an NVIDIA architecture, empty for AMD.
        assembly: the text of an AMD kernel, empty for NVIDIA, whose text is read out of the binary.
        shared_bytes: shared memory of one program, pipeline buffers included.
        threads: of one program.
    """

    cubin: bytes
    assembly: str
    shared_bytes: int
    threads: int


def interpreting() -> bool:
    """Return whether Triton runs kernels in its interpreter (``TRITON_INTERPRET=1``), on CPU tensors."""
    return bool(triton.knobs.runtime.interpret)


def cuobjdump_path() -> str:
    """Return the disassembler that ships with Triton."""
    return str(triton.knobs.nvidia.cuobjdump.path)


def compile_build(build: Build, arch: str) -> Binary:
    """Return the binary of one configuration; no device is needed.

    Args:
        build: types, constants and launch shape.
        arch: ``sm_80`` and later, or ``gfx942``.
    """
    nvidia = arch.startswith("sm_")
    target = GPUTarget("cuda", int(arch[3:]), 32) if nvidia else GPUTarget("hip", arch, 64)
    names = build.function.arg_names
    source = ASTSource(
        fn=build.function,
        signature={name: build.types.get(name, "constexpr") for name in names},
        constexprs=build.constants,
        attrs={(names.index(name),): [["tt.divisibility", 16]] for name in build.aligned},
    )
    options = {"num_warps": build.warps, "num_stages": build.stages}
    made = triton.compile(source, target=target, options=options)
    return Binary(
        cubin=made.asm["cubin"] if nvidia else b"",
        assembly="" if nvidia else made.asm["amdgcn"],
        shared_bytes=int(made.metadata.shared),
        threads=build.warps * target.warp_size,
    )
