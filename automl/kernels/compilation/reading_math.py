"""Reading disassembly: registers, spills, matrix instructions and the width of loads, out of text alone."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Reading", "read_amd", "read_nvidia"]

#: Matrix instructions by operand type; every generation has its own name: mma, wgmma, tcgen05, mfma.
_NVIDIA_MATRIX = {
    "int8": re.compile(r"^(IMMA|IGMMA|UTCIMMA)"),
    "fp16": re.compile(r"^(HMMA|HGMMA|UTCHMMA)"),
}
_AMD_MATRIX = {
    "int8": re.compile(r"v_(?:mfma|smfmac)_i32_\w*i8"),
    "fp16": re.compile(r"v_(?:mfma|smfmac)_f32_\w*(?:f16|bf16)"),
}
_OPCODE = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?\w+\s+)?([A-Z][A-Z0-9_.]+)")


@dataclass(frozen=True)
class Reading:
    """What a binary holds.

    Args:
        registers: of one thread; on AMD vector and accumulation registers together.
        spills: instructions that touch local memory (NVIDIA), spilled registers (AMD).
        matrix: operand types that have matrix instructions, sorted.
        wide_loads: loads from global memory of 16 bytes a thread, copies into shared memory included.
        narrow_loads: loads from global memory of fewer.
    """

    registers: int
    spills: int
    matrix: tuple[str, ...]
    wide_loads: int
    narrow_loads: int


def _matrix(patterns: dict[str, re.Pattern[str]], names: list[str]) -> tuple[str, ...]:
    return tuple(sorted(kind for kind, p in patterns.items() if any(p.match(n) for n in names)))


def read_nvidia(sass: str, usage: str) -> Reading:
    """Return the reading of ``cuobjdump -sass`` and ``cuobjdump -res-usage``.

    Raises:
        ValueError: the texts hold no instruction or no register count.
    """
    opcodes = _OPCODE.findall(sass)
    registers = re.search(r"\bREG:(\d+)", usage)
    if not opcodes or registers is None:
        raise ValueError("the disassembly holds no instructions or no register count")
    loads = [o for o in opcodes if re.match(r"(LDG|LDGSTS|UTMALDG)\b", o)]
    wide = [o for o in loads if o.endswith(".128") or ".128." in o or o.startswith("UTMALDG")]
    return Reading(
        registers=int(registers.group(1)),
        spills=sum(bool(re.match(r"(STL|LDL)\b", o)) for o in opcodes),
        matrix=_matrix(_NVIDIA_MATRIX, opcodes),
        wide_loads=len(wide),
        narrow_loads=len(loads) - len(wide),
    )


def read_amd(assembly: str) -> Reading:
    """Return the reading of the assembly of one kernel.

    Raises:
        ValueError: the text has no kernel metadata.
    """

    def count(name: str) -> int:
        found = re.search(rf"\.{name}:\s+(\d+)", assembly)
        if found is None:
            raise ValueError(f"the assembly has no '{name}' in its metadata")
        return int(found.group(1))

    loads = re.findall(r"\b(?:global|buffer)_load_\w+", assembly)
    names = re.findall(r"\bv_(?:mfma|smfmac)_\w+", assembly)
    wide = [name for name in loads if name.endswith("dwordx4")]
    return Reading(
        registers=count("vgpr_count"),
        spills=count("vgpr_spill_count") + count("sgpr_spill_count"),
        matrix=_matrix(_AMD_MATRIX, names),
        wide_loads=len(wide),
        narrow_loads=len(loads) - len(wide),
    )
