from __future__ import annotations

from automl.kernels.w4a16_linear.cases import cases


def test_cases_are_those_of_4_bits():
    found = list(cases())
    assert len(found) > 40
    assert any(c.arguments["table"] is not None and len(c.arguments["table"]) == 2**4 for c in found)
