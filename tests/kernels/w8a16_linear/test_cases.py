from __future__ import annotations

from automl.kernels.w8a16_linear.cases import cases


def test_cases_are_those_of_8_bits():
    found = list(cases())
    assert len(found) > 25
    assert {str(c.arguments["codes"].dtype) for c in found} == {"torch.int8", "torch.uint8"}
