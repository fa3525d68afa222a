from __future__ import annotations

from automl.kernels.fake_quantize.cases import cases


def test_cases_hold_the_awkward_calls():
    found = list(cases())
    calls = [c.arguments for c in found]
    assert len({c.name for c in found}) == len(found)
    assert any(a["x"].shape[0] == 0 for a in calls)
    assert any(not a["x"].is_contiguous() for a in calls)
    assert any(a["x"].isnan().any() for a in calls)
    assert any(a["granularity"] == "group" and a["x"].shape[-1] % a["group"] for a in calls)
    assert {a["granularity"] for a in calls} == {"tensor", "channel", "group"}
    assert any(a["zero"] is None for a in calls)
