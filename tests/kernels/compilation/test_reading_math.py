from __future__ import annotations

import pytest

from automl.kernels.compilation.reading_math import read_amd
from automl.kernels.compilation.reading_math import read_nvidia

_SASS = """
        /*0000*/                   LDC R1, c[0x0][0x28] ;
        /*0010*/              @!P0 LDGSTS.E.BYPASS.128 [R3], [R4.64] ;
        /*0020*/                   LDG.E.U16 R7, [R2.64] ;
        /*0030*/               @P1 LDG.E.128 R8, [R2.64] ;
        /*0040*/                   LDGDEPBAR ;
        /*0050*/                   {opcode} R4, R8, R12, R4 ;
        /*0060*/                   EXIT ;
"""
_USAGE = " Function _kernel:\n  REG:126 STACK:0 SHARED:0 LOCAL:0 CONSTANT[0]:472"

_AMD = """
        global_load_dwordx4 v[2:5], v[0:1], off
        buffer_load_dword v6, off, s[0:3], 0
        v_mfma_i32_16x16x32_i8 v[0:3], v[4:5], v[6:7], v[0:3]
    .vgpr_count:     132
    .vgpr_spill_count: 3
    .sgpr_spill_count: 1
"""


@pytest.mark.parametrize(
    ("opcode", "kind"),
    [
        ("IMMA.16832.S8.S8.SAT", "int8"),
        ("IGMMA.64", "int8"),
        ("UTCIMMA", "int8"),
        ("HMMA.16816.F32", "fp16"),
        ("HGMMA.64x16x16.F32", "fp16"),
        ("UTCHMMA", "fp16"),
    ],
)
def test_matrix_instructions_of_every_generation_are_known(opcode, kind):
    assert read_nvidia(_SASS.format(opcode=opcode), _USAGE).matrix == (kind,)


def test_loads_and_registers_are_counted():
    reading = read_nvidia(_SASS.format(opcode="IMAD"), _USAGE)
    assert (reading.registers, reading.wide_loads, reading.narrow_loads) == (126, 2, 1)
    assert reading.matrix == ()
    assert reading.spills == 0


@pytest.mark.parametrize("opcode", ["STL", "STL.64", "LDL.LU"])
def test_local_memory_is_a_spill(opcode):
    assert read_nvidia(_SASS.format(opcode=opcode), _USAGE).spills == 1


def test_amd_metadata_and_instructions_are_read():
    reading = read_amd(_AMD)
    assert (reading.registers, reading.spills) == (132, 4)
    assert (reading.wide_loads, reading.narrow_loads) == (1, 1)
    assert reading.matrix == ("int8",)
    assert read_amd(_AMD.replace("i32_16x16x32_i8", "f32_32x32x8_f16")).matrix == ("fp16",)


def test_a_text_that_is_no_disassembly_is_refused():
    with pytest.raises(ValueError, match="no instructions"):
        read_nvidia("", _USAGE)
    with pytest.raises(ValueError, match="vgpr_count"):
        read_amd("s_endpgm")
