from __future__ import annotations

from automl.kernels.quantize_rows.cases import cases


def test_cases_hold_the_awkward_rows():
    found = list(cases())
    inputs = [c.arguments["x"] for c in found]
    assert len({c.name for c in found}) == len(found)
    assert any(x.shape[-1] == 1 for x in inputs)
    assert any(x.shape[0] == 0 for x in inputs)
    assert any(not x.is_contiguous() for x in inputs)
    assert any(x.isnan().any() for x in inputs)
    assert {c.arguments["fmt"] for c in found} == {"int8", "fp8_e4m3"}
