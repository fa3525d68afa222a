from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from automl.artifact.report import report_html
from automl.artifact.report import write_report
from automl.core.errors import ArtifactError
from tests.artifact.runs import example_run


class _Scripts(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.data = ""
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._inside = tag == "script" and ("id", "data") in attrs

    def handle_endtag(self, tag):
        self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.data += data


def test_embedded_data_is_the_runs_data():
    data = example_run()
    embedded = json.loads(_Scripts(report_html(data)).data)
    assert embedded == json.loads(json.dumps(data.to_json()))
    assert len(embedded["trials"]) == 90


@pytest.mark.parametrize(
    "name", ["</script><script>alert(1)</script>", "<!--<script>", "{{script}}", "a & b"]
)
def test_no_user_text_opens_or_ends_an_element(name):
    plain, hostile = _Scripts(report_html(example_run())), _Scripts(report_html(example_run(title=name)))
    assert hostile.tags == plain.tags
    assert json.loads(hostile.data)["title"] == name


def test_page_asks_nothing_of_the_network():
    page = report_html(example_run())
    assert not re.search(
        r"""(?:src|href)\s*=|@import|url\(\s*["']?http|fetch\(|XMLHttpRequest|innerHTML""", page
    )
    assert "default-src 'none'" in page
    assert re.findall(r"https?://[^\"' ]+", page) == ["http://www.w3.org/2000/svg"]


def test_equal_data_gives_equal_pages():
    assert report_html(example_run()) == report_html(example_run())


def test_file_appears_whole(tmp_path):
    path = write_report(example_run(), tmp_path / "deep" / "r.html")
    assert path.read_text() == report_html(example_run())
    assert [p.name for p in path.parent.iterdir()] == ["r.html"]


def test_a_path_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot write the report"):
        write_report(example_run(), tmp_path / "file" / "r.html")
