from __future__ import annotations

import torch

from automl.kernels.weight_only.formats_math import FP4
from automl.kernels.weight_only.formats_math import nf4
from automl.kernels.weight_only.formats_math import pack_nibbles
from automl.kernels.weight_only.formats_math import unpack_nibbles
from tests.kernels.support import codes


def test_nf4_has_its_published_levels():
    # arXiv 2305.14314, appendix E, to seven digits.
    published = [
        *(-1.0, -0.6961928, -0.5250731, -0.3949175, -0.2844414, -0.1847734, -0.0910500, 0.0),
        *(0.0795803, 0.1609302, 0.2461123, 0.3379152, 0.4407098, 0.5626170, 0.7229568, 1.0),
    ]
    assert torch.allclose(nf4(), torch.tensor(published), atol=2e-7, rtol=0)
    assert nf4()[7] == 0


def test_fp4_follows_the_rule_of_e2m1():
    for code, level in enumerate(FP4):
        sign, exponent, mantissa = code >> 3, (code >> 1) & 3, code & 1
        size = mantissa * 0.5 if exponent == 0 else 2.0 ** (exponent - 1) * (1 + mantissa / 2)
        assert level == (-size if sign else size)


def test_packing_keeps_every_code_also_the_odd_last_one():
    for inner in (1, 2, 7, 64):
        given = codes((3, inner), 0, 15, inner, torch.uint8)
        packed = pack_nibbles(given)
        assert packed.shape == (3, (inner + 1) // 2)
        assert torch.equal(unpack_nibbles(packed, inner), given)


def test_every_byte_is_two_codes():
    every = torch.arange(256, dtype=torch.int32).to(torch.uint8)[None]
    assert torch.equal(pack_nibbles(unpack_nibbles(every, 512)), every)
