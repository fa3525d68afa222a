"""Compiling every shipped configuration of the kernels and reading what came out, without a device."""

from __future__ import annotations

import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from automl.core.errors import KernelError
from automl.core.errors import unknown_name
from automl.kernels import table
from automl.kernels.compilation.devices import ARCHITECTURES
from automl.kernels.compilation.devices import architecture
from automl.kernels.compilation.devices import occupancy
from automl.kernels.compilation.reading_math import WIDE
from automl.kernels.compilation.reading_math import read_amd
from automl.kernels.compilation.reading_math import read_nvidia

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence

    from automl.kernels.builds import Build
    from automl.kernels.compilation.devices import Architecture
    from automl.kernels.compilation.reading_math import Reading
    from automl.kernels.compilation.triton_impl import Binary

__all__ = ["CompiledRow", "compile_kernels", "faults", "hot_loads"]


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
        instructions: names of those instructions, joined by ``+``.
        loads: hot operand -> bytes a thread -> how many loads of the binary.
        occupancy: upper bound of the share of resident threads.
    """

    kernel: str
    config: str
    arch: str
    registers: int
    spills: int
    shared_bytes: int
    tensor_core: str
    instructions: str
    loads: dict[str, dict[int, int]]
    occupancy: float


def faults(row: CompiledRow, build: Build) -> list[str]:
    """Return what is wrong: spills, too much shared memory, no matrix instructions, short loads."""
    wrong = []
    if row.spills:
        wrong.append(f"{row.spills} spills to local memory")
    limit = architecture(row.arch).shared_bytes
    if row.shared_bytes > limit:
        wrong.append(f"{row.shared_bytes} bytes of shared memory, the device has {limit}")
    if build.tensor_core and build.tensor_core not in row.tensor_core.split("+"):
        wrong.append(f"no {build.tensor_core} matrix instructions")
    for operand in build.hot:
        sizes = row.loads.get(operand, {})
        if not sizes:
            wrong.append(f"no load of '{operand}'")
        wrong += [f"loads '{operand}' {size} bytes at a time" for size in sorted(sizes) if size < WIDE]
    return wrong


def hot_loads(build: Build, reading: Reading) -> dict[str, dict[int, int]]:
    """Return hot operand -> bytes a thread -> how many loads of the binary, by the lines of the source."""
    file = build.source_file()
    found = {}
    for operand, lines in build.load_lines().items():
        sizes = Counter(load.size for load in reading.loads if load.file == file and load.line in lines)
        found[operand] = dict(sorted(sizes.items()))
    return found


def _disassemble(binary: Binary) -> Reading:
    if not binary.cubin:
        return read_amd(binary.assembly)
    from automl.kernels.compilation.triton_impl import cuobjdump_path
    from automl.kernels.compilation.triton_impl import nvdisasm_path

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.cubin"
        file.write_bytes(binary.cubin)
        sass, usage = (
            subprocess.run([*command, str(file)], capture_output=True, text=True, check=True).stdout
            for command in ((nvdisasm_path(), "-c", "-gp"), (cuobjdump_path(), "-res-usage"))
        )
    return read_nvidia(sass, usage, binary.assembly)


def _row(kernel: str, build: Build, arch: Architecture) -> tuple[CompiledRow, list[str]]:
    from automl.kernels.compilation.triton_impl import compile_build

    try:
        binary = compile_build(build, arch.name)
    except KernelError as wrong:
        return CompiledRow(kernel, build.config, arch.name, 0, 0, 0, "", "", {}, 0.0), [str(wrong)]
    reading = _disassemble(binary)
    used = {"registers": reading.registers, "shared_bytes": binary.shared_bytes}
    row = CompiledRow(
        kernel=kernel,
        config=build.config,
        arch=arch.name,
        spills=reading.spills,
        tensor_core="+".join(reading.matrix),
        instructions="+".join(reading.instructions),
        loads=hot_loads(build, reading),
        occupancy=occupancy(arch, **used, threads=binary.threads),
        **used,
    )
    return row, faults(row, build)


def compile_kernels(
    kernels: Sequence[str] = (), archs: Sequence[str] = (), configs: Sequence[str] = ()
) -> Iterator[tuple[CompiledRow, list[str]]]:
    """Yield a row and its faults for every configuration of the kernels.

    Args:
        kernels: names; all when empty.
        archs: architectures; all when empty.
        configs: only configurations whose name begins with one of these; all when empty.

    Raises:
        KernelError: unknown kernel or architecture, a configuration that no kernel has, or Triton is set to
            interpret.
    """
    from automl.kernels.compilation.triton_impl import interpreting

    if interpreting():
        raise KernelError(
            "kernels cannot be compiled with TRITON_INTERPRET=1, under which Triton only interprets; "
            "allowed: 0 or nothing; unset it"
        )
    chosen = [architecture(name) for name in archs or ARCHITECTURES]
    known = [(name, build) for name in kernels or table.KERNELS for build in table.builds(name)]
    for start in configs:
        if not any(build.config.startswith(start) for _, build in known):
            kinds = {build.config.partition("-")[0] for _, build in known}
            raise KernelError(unknown_name("configuration", start, kinds))
    for name, build in known:
        if build.config.startswith(tuple(configs or ("",))):
            for arch in chosen:
                yield _row(name, build, arch)
