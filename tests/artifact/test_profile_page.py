from __future__ import annotations

import pytest

from automl.artifact.profile_page import profile_html
from automl.artifact.profile_page import profile_summary
from automl.artifact.profile_page import write_profile
from automl.core.errors import ArtifactError
from tests.artifact.profiles import example_profile


def test_page_shows_every_operator_and_both_times():
    page = profile_html(example_profile())
    assert page.count("<tr><td>") == 4
    assert "measured ms" in page
    assert "&lt;down&gt;" in page
    assert "<down>" not in page


def test_page_without_measurement_has_no_column_for_it():
    page = profile_html(example_profile(measured=False))
    assert "estimated ms" in page
    assert "measured ms" not in page


def test_page_needs_no_script_and_no_network():
    page = profile_html(example_profile())
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert page.count("http") == page.count("http://www.w3.org/2000/svg") + page.count("http-equiv")


def test_summary_says_where_figures_come_from_and_how_well_they_agree():
    text = " ".join(profile_summary(example_profile()))
    assert "measured on this machine" in text
    assert "runtime 1" in text
    assert "correlate 0.950" in text
    assert "2.05 kB" in text
    assert text.endswith("A note.")


def test_page_or_picture_is_written(tmp_path):
    page = write_profile(example_profile(), tmp_path / "new" / "p.html")
    assert page.read_text() == profile_html(example_profile())
    assert write_profile(example_profile(), tmp_path / "p.svg").read_text().startswith("<svg")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot write the profile"):
        write_profile(example_profile(), tmp_path / "file" / "p.html")
