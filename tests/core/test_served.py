from __future__ import annotations

import json

from automl.core.served import ServedSite


def test_json_gives_the_value_back():
    site = ServedSite("a.b", "w8a8", "w8a8_linear", "cpu", "tensors are on cpu", (("triton", "no GPU"),))
    assert ServedSite.from_json(json.loads(json.dumps(site.to_json()))) == site
