"""Reading disassembly: registers, spills, matrix instructions and loads by source line, out of text alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

__all__ = ["WIDE", "Load", "Reading", "read_amd", "read_nvidia"]

#: Bytes of the widest load that every architecture has.
WIDE = 16

#: Matrix instructions by operand type; every generation has its own name: mma, wgmma, tcgen05, mfma.
_NVIDIA_MATRIX = {
    "int8": re.compile(r"^(IMMA|IGMMA|UTCIMMA)\b"),
    "fp16": re.compile(r"^(HMMA|HGMMA|UTCHMMA)\b"),
}
_AMD_MATRIX = {
    "int8": re.compile(r"^(v_(?:mfma|smfmac)_i32)_\w*i8"),
    "fp16": re.compile(r"^(v_(?:mfma|smfmac)_f32)_\w*(?:f16|bf16)"),
}
_PTX_LINE = re.compile(r'//## File "\.nv_debug_ptx_txt", line (\d+)')
_OPCODE = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?\w+\s+)?([A-Z][A-Z0-9_.]+)")
_NVIDIA_LOAD = re.compile(r"(LDG|LDGSTS|UTMALDG)\b")
_AMD_LOAD = re.compile(r"\s*((?:global|buffer|flat)_load_\w+)")
_FILE = re.compile(r'\s*\.file\s+(\d+)\s+"([^"]+)"(?:\s+"([^"]+)")?')
_LOC = re.compile(r"\s*\.loc\s+(\d+)\s+(\d+)\s")

_Place = tuple[str, int]
_NOWHERE: _Place = ("", 0)


@dataclass(frozen=True)
class Load:
    """One load from global memory, copies into shared memory included.

    Args:
        file: folder and name of the source file, such as ``w8a8_linear/triton_impl.py``.
        line: of the source; 0 when the compiler lost it.
        size: bytes a thread.
    """

    file: str
    line: int
    size: int


@dataclass(frozen=True)
class Reading:
    """What a binary holds.

    Args:
        registers: of one thread; on AMD vector and accumulation registers together.
        spills: instructions that touch local memory (NVIDIA), spilled registers (AMD).
        matrix: operand types that have matrix instructions, sorted.
        instructions: the names of those instructions, sorted.
        loads: every load from global memory.
    """

    registers: int
    spills: int
    matrix: tuple[str, ...]
    instructions: tuple[str, ...]
    loads: tuple[Load, ...]


def _matrix(
    patterns: dict[str, re.Pattern[str]], names: list[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found = {(kind, m[1]) for kind, p in patterns.items() for n in names if (m := p.match(n))}
    return tuple(sorted({kind for kind, _ in found})), tuple(sorted({name for _, name in found}))


def _files(text: str) -> dict[str, str]:
    found = {}
    for m in _FILE.finditer(text):
        path = PurePath(m[2], m[3]) if m[3] else PurePath(m[2])
        found[m[1]] = "/".join(path.parts[-2:])
    return found


def _ptx_places(ptx: str) -> list[_Place]:
    """Return the source place of every line of PTX, the first of which is line 1.

    The lines of an inline assembly carry ever later source lines, one a line of the assembly, so the place of
    its beginning holds for all of them.
    """
    files, place, inline = _files(ptx), _NOWHERE, False
    places = [_NOWHERE]
    for line in ptx.splitlines():
        if "// begin inline asm" in line:
            inline = True
        elif "// end inline asm" in line:
            inline = False
        elif not inline and (m := _LOC.match(line)):
            place = (files.get(m[1], ""), int(m[2]))
        places.append(place)
    return places


def _nvidia_size(opcode: str) -> int:
    if opcode.startswith("UTMALDG"):
        return WIDE
    for mark, size in ((".256", 32), (".128", 16), (".64", 8), (".U8", 1), (".S8", 1), (".U16", 2)):
        if mark in f"{opcode}.".replace(".LTC128B.", ".").replace(".LTC256B.", "."):
            return size
    return 2 if ".S16" in opcode else 4


def read_nvidia(sass: str, usage: str, ptx: str) -> Reading:
    """Return the reading of ``nvdisasm -c -gp``, ``cuobjdump -res-usage`` and the PTX that was assembled.

    Raises:
        ValueError: the texts hold no instruction or no register count.
    """
    registers = re.search(r"\bREG:(\d+)", usage)
    places, place = _ptx_places(ptx), _NOWHERE
    opcodes, loads = [], []
    for line in sass.splitlines():
        if m := _PTX_LINE.search(line):
            place = places[int(m[1])] if int(m[1]) < len(places) else _NOWHERE
        elif m := _OPCODE.search(line):
            opcodes.append(m[1])
            if _NVIDIA_LOAD.match(m[1]):
                loads.append(Load(*place, _nvidia_size(m[1])))
    if not opcodes or registers is None:
        raise ValueError("the disassembly holds no instructions or no register count")
    spills = sum(bool(re.match(r"(STL|LDL)\b", o)) for o in opcodes)
    return Reading(int(registers[1]), spills, *_matrix(_NVIDIA_MATRIX, opcodes), tuple(loads))


def _amd_size(name: str) -> int:
    if m := re.search(r"dword(?:x(\d+))?$", name):
        return 4 * int(m[1] or 1)
    return 1 if "byte" in name else 2


def read_amd(assembly: str) -> Reading:
    """Return the reading of the assembly of one kernel.

    Raises:
        ValueError: the text has no kernel metadata.
    """

    def count(name: str) -> int:
        found = re.search(rf"\.{name}:\s+(\d+)", assembly)
        if found is None:
            raise ValueError(f"the assembly has no '{name}' in its metadata")
        return int(found[1])

    registers, spills = count("vgpr_count"), count("vgpr_spill_count") + count("sgpr_spill_count")
    files, place, loads = _files(assembly), _NOWHERE, []
    for line in assembly.splitlines():
        if m := _LOC.match(line):
            place = (files.get(m[1], ""), int(m[2]))
        elif m := _AMD_LOAD.match(line):
            loads.append(Load(*place, _amd_size(m[1])))
    names = re.findall(r"\bv_(?:mfma|smfmac)_\w+", assembly)
    return Reading(registers, spills, *_matrix(_AMD_MATRIX, names), tuple(loads))
