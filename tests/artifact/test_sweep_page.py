from __future__ import annotations

import re

import pytest

from automl.artifact.sweep_page import sweep_html
from automl.artifact.sweep_page import write_sweep_page
from automl.core.errors import ArtifactError
from tests.artifact.sweeps import example_sweep


def test_the_page_needs_no_network_and_runs_no_script():
    page = sweep_html(example_sweep())
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == ["cells/net.random.0/report.html"]
    assert "url(" not in page


def test_every_cell_and_every_reason_is_shown():
    page = sweep_html(example_sweep())
    cells = page[page.index("<h2>Cells</h2>") :]
    assert cells.count("openvino") == 6
    assert cells.count("no &lt;model&gt; here") == 2
    assert "done, budgets not met" in cells
    assert "pending" in cells


def test_texts_of_the_user_cannot_become_markup():
    page = sweep_html(example_sweep(title="<img src=x onerror=alert(1)>"))
    assert "<img" not in page


def test_equal_reports_give_equal_pages():
    assert sweep_html(example_sweep()) == sweep_html(example_sweep())


def test_a_page_is_written_in_one_rename(tmp_path):
    path = write_sweep_page(example_sweep(), tmp_path / "deep" / "report.html")
    assert path.read_text() == sweep_html(example_sweep())
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot write the report"):
        write_sweep_page(example_sweep(), tmp_path / "file" / "report.html")
