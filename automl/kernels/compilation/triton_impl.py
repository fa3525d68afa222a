"""Triton's own state and compiler, behind functions that name no type of Triton."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.compiler.errors import CompilationError
from triton.runtime.errors import PTXASError

from automl.core.errors import KernelError
from automl.kernels.launch import warps_of

if TYPE_CHECKING:
    from automl.kernels.builds import Build

__all__ = ["Binary", "compile_build", "cuobjdump_path", "interpreting", "nvdisasm_path"]


@dataclass(frozen=True)
class Binary:
    """What the compiler made of one build.

    Args:
        cubin: the binary of an NVIDIA architecture, empty for AMD.
        assembly: PTX, or the assembly of an AMD kernel.
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
    """Return the reader of binaries that ships with Triton."""
    return str(triton.knobs.nvidia.cuobjdump.path)


def nvdisasm_path() -> str:
    """Return the disassembler that ships with Triton."""
    return str(triton.knobs.nvidia.nvdisasm.path)


def compile_build(build: Build, arch: str) -> Binary:
    """Return the binary of one configuration; no device is needed.

    Args:
        build: types, constants and launch shape.
        arch: ``sm_80`` and later, or ``gfx942``.

    Raises:
        KernelError: the source does not compile.
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
    warps = warps_of(build.warps, target.warp_size)
    try:
        made = triton.compile(source, target=target, options={"num_warps": warps, "num_stages": build.stages})
    except (CompilationError, PTXASError) as wrong:
        while isinstance(wrong.__cause__, CompilationError):
            wrong = wrong.__cause__
        raise KernelError(
            f"configuration '{build.config}' does not compile for {arch}: {str(wrong).splitlines()[-1]}; "
            "allowed: what Triton compiles; change the kernel or drop the configuration"
        ) from wrong
    return Binary(
        cubin=made.asm["cubin"] if nvidia else b"",
        assembly=made.asm["ptx" if nvidia else "amdgcn"],
        shared_bytes=int(made.metadata.shared),
        threads=warps * target.warp_size,
    )
