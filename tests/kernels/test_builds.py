from __future__ import annotations

from dataclasses import replace

import pytest

from automl.kernels import table
from tests.architecture.source import ROOT

_ALL = [pytest.param(b, id=f"{n}-{b.config}") for n in table.KERNELS for b in table.builds(n)]


@pytest.mark.parametrize("build", _ALL)
def test_every_configuration_names_its_operands_of_much_traffic(build):
    lines = build.load_lines()
    assert set(lines) == set(build.hot)
    assert all(lines.values())
    assert build.hot or build.narrow
    assert not set(build.hot) & set(build.narrow)
    assert build.source_file().endswith("_linear/triton_impl.py") or build.function.__name__ in {
        "_qdq_kernel",
        "_rows_kernel",
        "_weight_only_kernel",
    }


def test_configurations_of_a_kernel_have_names_of_their_own():
    for name in table.KERNELS:
        names = [b.config for b in table.builds(name)]
        assert len(set(names)) == len(names)
        assert bool(names) == ("triton" in table.spec(name).implementations)


def test_a_load_that_the_source_does_not_have_is_an_error():
    build = table.builds("w8a8_linear")[0]
    with pytest.raises(ValueError, match=r"'q = tl\.load', not in its source"):
        replace(build, hot={"q": "q = tl.load"}).load_lines()


def test_the_page_of_the_binaries_has_a_row_of_every_configuration():
    page = (ROOT / "docs" / "kernels_compiled.md").read_text()
    rows = [tuple(c.strip() for c in line.split("|")[1:]) for line in page.splitlines() if line[:1] == "|"]
    named = {row[:2]: row for row in rows[2:]}
    assert set(named) == {(n, b.config) for n in table.KERNELS for b in table.builds(n)}
    assert all(all(row[2:6]) for row in named.values())
    assert "Faults: none." in page
