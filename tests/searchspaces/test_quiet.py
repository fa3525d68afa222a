from __future__ import annotations

import logging
import sys
import threading
import warnings

import pytest

from automl.searchspaces.quiet import quiet


def test_prints_warnings_and_log_lines_of_this_thread_are_dropped(capsys, caplog):
    with quiet():
        sys.stderr.write("a graph\n")
        warnings.warn("old", UserWarning, stacklevel=1)
        logging.getLogger("torch").warning("slow")
    assert capsys.readouterr().err == ""
    assert caplog.records == []


def test_another_thread_is_heard(capsys):
    with quiet():
        thread = threading.Thread(target=lambda: sys.stderr.write("3/8\n"))
        thread.start()
        thread.join()
    assert capsys.readouterr().err == "3/8\n"


def test_everything_is_as_before_after_an_error(capsys):
    level, stream = logging.getLogger("torch").level, sys.stderr
    with pytest.raises(ValueError, match="export"), quiet():
        raise ValueError("export")
    assert sys.stderr is stream
    assert logging.getLogger("torch").level == level
    sys.stderr.write("here\n")
    assert capsys.readouterr().err == "here\n"
