"""The architectures that kernels are compiled for, with the limits that a binary must keep."""

from __future__ import annotations

from dataclasses import dataclass

from automl.core.errors import KernelError
from automl.core.errors import unknown_name

__all__ = ["ARCHITECTURES", "Architecture", "architecture", "occupancy"]


@dataclass(frozen=True)
class Architecture:
    """Limits of one multiprocessor (compute unit).

    Args:
        name: ``sm_90`` or ``gfx942``.
        devices: products that have it.
        shared_bytes: largest shared memory of one program.
        shared_total: shared memory of all programs together.
        registers: 32-bit registers of all threads.
        threads: resident threads.
        programs: resident programs.
    """

    name: str
    devices: str
    shared_bytes: int
    shared_total: int
    registers: int
    threads: int
    programs: int


_KB = 1024

#: CUDA C++ Programming Guide, table of technical specifications; CDNA 3 ISA guide: 64 kB of LDS, and for each
#: of 4 SIMDs 512 registers of 64 lanes and 8 waves.
ARCHITECTURES: dict[str, Architecture] = {
    a.name: a
    for a in (
        Architecture("sm_80", "A100", 163 * _KB, 164 * _KB, 65_536, 2_048, 32),
        Architecture("sm_90", "H100", 227 * _KB, 228 * _KB, 65_536, 2_048, 32),
        Architecture("sm_100", "B200", 227 * _KB, 228 * _KB, 65_536, 2_048, 32),
        Architecture("gfx942", "MI300X", 64 * _KB, 64 * _KB, 131_072, 2_048, 32),
    )
}


def architecture(name: str) -> Architecture:
    """Return the architecture called ``name``.

    Raises:
        KernelError: kernels are not compiled for it.
    """
    if name not in ARCHITECTURES:
        raise KernelError(unknown_name("architecture", name, ARCHITECTURES))
    return ARCHITECTURES[name]


def occupancy(arch: Architecture, *, registers: int, shared_bytes: int, threads: int) -> float:
    """Return the largest share of resident threads that registers and shared memory leave, in [0, 1].

    Args:
        arch: the limits.
        registers: of one thread; allocated in steps of 8.
        shared_bytes: of one program.
        threads: of one program.
    """
    by_registers = arch.registers // (max(-(-registers // 8) * 8, 8) * threads)
    by_shared = arch.shared_total // shared_bytes if shared_bytes else arch.programs
    programs = min(by_registers, by_shared, arch.programs, arch.threads // threads)
    return min(programs * threads / arch.threads, 1.0)
