from __future__ import annotations

import pytest

from automl.kernels.compilation.reading_math import Load
from automl.kernels.compilation.reading_math import read_amd
from automl.kernels.compilation.reading_math import read_nvidia

_FILE = "w8a8_linear/triton_impl.py"

#: Line 3 belongs to source line 64; the inline assembly of lines 6 to 11 begins at source line 70, though its
#: last line carries 72.
_PTX = """
	.loc	1 64 9                          // triton_impl.py:64:9
	cp.async.cg.shared.global [ %r1 + 0 ], [ %rd1 + 0 ], 0x10, %r2;
	.loc	1 70 9                          // triton_impl.py:70:9
	// begin inline asm
	.loc	1 70 9                          // triton_impl.py:70:9
	mov.u32 %r1, %r5;
	.loc	1 71 9                          // triton_impl.py:71:9
	mov.u32 %r2, %r5;
	.loc	1 72 9                          // triton_impl.py:72:9
	@%p1 ld.global.v4.b32 { %r1, %r2, %r3, %r4 }, [ %rd1 + 0 ];
	// end inline asm
	.loc	1 80 9                          // triton_impl.py:80:9
	ld.global.u16 %r1, [ %rd1 ];
	.file	1 "/somewhere/w8a8_linear/triton_impl.py"
"""

_SASS = """
        /*0000*/                   LDC R1, c[0x0][0x28] ;
	//## File ".nv_debug_ptx_txt", line 3
        /*0010*/              @!P0 LDGSTS.E.BYPASS.LTC128B.128 [R3], [R4.64] ;
	//## File ".nv_debug_ptx_txt", line 14
        /*0020*/                   LDG.E.U16 R7, [R2.64] ;
	//## File ".nv_debug_ptx_txt", line 11
        /*0030*/               @P1 LDG.E.128 R8, [R2.64] ;
        /*0040*/                   LDGDEPBAR ;
        /*0050*/                   {opcode} R4, R8, R12, R4 ;
        /*0060*/                   EXIT ;
"""
_USAGE = " Function _kernel:\n  REG:126 STACK:0 SHARED:0 LOCAL:0 CONSTANT[0]:472"

_AMD = """
	.file	1 "/somewhere/w8a8_linear" "triton_impl.py"
	.loc	1 64 9                          ; triton_impl.py:64:9
        global_load_dwordx4 v[2:5], v[0:1], off
	.loc	1 0 9 is_stmt 0
        buffer_load_dword v6, off, s[0:3], 0
	.loc	1 80 9 is_stmt 1
        global_load_ubyte v6, v[0:1], off
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
    reading = read_nvidia(_SASS.format(opcode=opcode), _USAGE, _PTX)
    assert reading.matrix == (kind,)
    assert reading.instructions == (opcode.split(".")[0],)


def test_an_instruction_of_another_name_is_no_matrix_instruction():
    reading = read_nvidia(_SASS.format(opcode="HFMA2.MMA"), _USAGE, _PTX)
    assert (reading.matrix, reading.instructions, reading.spills) == ((), (), 0)


def test_loads_have_the_size_and_the_source_line_of_their_statement():
    reading = read_nvidia(_SASS.format(opcode="IMAD"), _USAGE, _PTX)
    assert reading.registers == 126
    assert reading.loads == (Load(_FILE, 64, 16), Load(_FILE, 80, 2), Load(_FILE, 70, 16))


@pytest.mark.parametrize(
    ("opcode", "size"),
    [
        ("LDG.E", 4),
        ("LDG.E.64", 8),
        ("LDG.E.LTC128B.64", 8),
        ("LDG.E.U8", 1),
        ("LDG.E.S8", 1),
        ("LDG.E.S16", 2),
        ("LDG.E.ENL2.256", 32),
        ("UTMALDG.2D", 16),
    ],
)
def test_the_size_of_a_load_stands_in_its_name(opcode, size):
    reading = read_nvidia(_SASS.format(opcode=opcode), _USAGE, _PTX)
    assert reading.loads[-1] == Load(_FILE, 70, size)


@pytest.mark.parametrize("opcode", ["STL", "STL.64", "LDL.LU"])
def test_local_memory_is_a_spill(opcode):
    assert read_nvidia(_SASS.format(opcode=opcode), _USAGE, _PTX).spills == 1


def test_amd_metadata_and_instructions_are_read():
    reading = read_amd(_AMD)
    assert (reading.registers, reading.spills) == (132, 4)
    assert reading.loads == (Load(_FILE, 64, 16), Load(_FILE, 0, 4), Load(_FILE, 80, 1))
    assert (reading.matrix, reading.instructions) == (("int8",), ("v_mfma_i32",))
    assert read_amd(_AMD.replace("i32_16x16x32_i8", "f32_32x32x8_f16")).matrix == ("fp16",)


def test_a_text_that_is_no_disassembly_is_refused():
    with pytest.raises(ValueError, match="no instructions"):
        read_nvidia("", _USAGE, _PTX)
    with pytest.raises(ValueError, match="vgpr_count"):
        read_amd("s_endpgm")
