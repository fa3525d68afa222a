"""Compiling every shipped configuration of the kernels and reading what came out, without a device."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from automl.core.errors import KernelError
from automl.kernels import table
from automl.kernels.compilation.devices import ARCHITECTURES
from automl.kernels.compilation.devices import architecture
from automl.kernels.compilation.devices import occupancy
from automl.kernels.compilation.reading_math import read_amd
from automl.kernels.compilation.reading_math import read_nvidia

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence

    from automl.kernels.builds import Build
    from automl.kernels.compilation.reading_math import Reading
    from automl.kernels.compilation.triton_impl import Binary

__all__ = ["CompiledRow", "compile_kernels", "faults"]


@dataclass(frozen=True)
class CompiledRow:
    """One kernel in one configuration on one architecture.

    Args:
        kernel: name.
        config: shape class and variant.
        arch: architecture.
        registers: of one thread.
        spills: instructions or registers that went to local memory.
        shared_bytes: shared memory of one program.
        tensor_core: operand types with matrix instructions, joined by ``+``; empty when there are none.
        wide_loads: 16-byte loads from global memory.
        narrow_loads: shorter ones.
        occupancy: upper bound of the share of resident threads.
    """

    kernel: str
    config: str
    arch: str
    registers: int
    spills: int
    shared_bytes: int
    tensor_core: str
    wide_loads: int
    narrow_loads: int
    occupancy: float


def faults(row: CompiledRow, build: Build) -> list[str]:
    """Return what a binary lacks: registers spilled, too much shared memory, no matrix instructions."""
    wrong = []
    if row.spills:
        wrong.append(f"{row.spills} spills to local memory")
    limit = architecture(row.arch).shared_bytes
    if row.shared_bytes > limit:
        wrong.append(f"{row.shared_bytes} bytes of shared memory, the device has {limit}")
    if build.tensor_core and build.tensor_core not in row.tensor_core.split("+"):
        wrong.append(f"no {build.tensor_core} matrix instructions")
    if build.wide_loads and not row.wide_loads:
        wrong.append("no 16-byte loads")
    return wrong


def _disassemble(binary: Binary) -> Reading:
    if not binary.cubin:
        return read_amd(binary.assembly)
    from automl.kernels.compilation.triton_impl import cuobjdump_path

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.cubin"
        file.write_bytes(binary.cubin)
        texts = [
            subprocess.run(
                [cuobjdump_path(), option, str(file)], capture_output=True, text=True, check=True
            ).stdout
            for option in ("-sass", "-res-usage")
        ]
    return read_nvidia(*texts)


def compile_kernels(
    kernels: Sequence[str] = (), archs: Sequence[str] = (), config: str = ""
) -> Iterator[tuple[CompiledRow, list[str]]]:
    """Yield a row and its faults for every configuration of the kernels.

    Args:
        kernels: names; all when empty.
        archs: architectures; all when empty.
        config: only configurations whose name begins with this.

    Raises:
        KernelError: unknown kernel or architecture, or Triton is set to interpret.
    """
    from automl.kernels.compilation.triton_impl import compile_build
    from automl.kernels.compilation.triton_impl import interpreting

    if interpreting():
        raise KernelError(
            "kernels cannot be compiled with TRITON_INTERPRET=1, under which Triton only interprets; "
            "allowed: 0 or nothing; unset it"
        )
    chosen = [architecture(name) for name in archs or ARCHITECTURES]
    for name in kernels or table.KERNELS:
        for build in table.builds(name):
            if not build.config.startswith(config):
                continue
            for arch in chosen:
                binary = compile_build(build, arch.name)
                reading = _disassemble(binary)
                row = CompiledRow(
                    kernel=name,
                    config=build.config,
                    arch=arch.name,
                    registers=reading.registers,
                    spills=reading.spills,
                    shared_bytes=binary.shared_bytes,
                    tensor_core="+".join(reading.matrix),
                    wide_loads=reading.wide_loads,
                    narrow_loads=reading.narrow_loads,
                    occupancy=occupancy(
                        arch,
                        registers=reading.registers,
                        shared_bytes=binary.shared_bytes,
                        threads=binary.threads,
                    ),
                )
                yield row, faults(row, build)
