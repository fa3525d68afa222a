from __future__ import annotations


def test_one_file_without_network_is_written(shell, digits_run, tmp_path):
    file = tmp_path / "r.html"
    said = shell("report", digits_run.folder, "--out", file)
    assert said.code == 0
    page = file.read_text()
    assert "<html" in page
    assert 'src="http' not in page
    assert digits_run.best.id in page


def test_without_out_it_lies_in_the_run_folder(shell, digits_run):
    before = (digits_run.folder / "report.html").stat().st_mtime_ns
    assert shell("report", digits_run.folder).code == 0
    assert (digits_run.folder / "report.html").stat().st_mtime_ns > before


def test_a_folder_without_a_run_is_refused(shell, tmp_path):
    said = shell("report", tmp_path)
    assert said.code == 2
    assert "holds no finished run" in said.err
    assert said.err.count("\n") == 1


def test_a_page_that_cannot_be_written_is_refused(shell, digits_run, tmp_path):
    (tmp_path / "file").write_text("")
    said = shell("report", digits_run.folder, "--out", tmp_path / "file" / "r.html")
    assert said.code == 2
    assert said.err.count("\n") == 1


def test_the_report_of_a_sweep_is_written_again(shell, tmp_path):
    (tmp_path / "sweep.yaml").write_text("name: nightly\nmodels: [a:build]")
    said = shell("report", tmp_path, "--out", tmp_path / "o.html")
    assert said.code == 0
    assert "nightly" in (tmp_path / "o.html").read_text()
