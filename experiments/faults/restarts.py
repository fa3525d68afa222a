"""A search that records on a server which is killed and started again in mid-run.

The search must go on by itself and end with the trials of a search that recorded in a file; nothing it writes
may show the password.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from run import identity  # noqa: E402
from run import recorded  # noqa: E402

from automl.core.errors import LedgerError  # noqa: E402
from automl.core.rng import child_rng  # noqa: E402
from automl.ledger import read_ledger  # noqa: E402

PASSWORD = "a-secret-of-the-test"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_study(make_server, results):
    """Search on a server that is restarted, compare, write the row; exit status 1 if anything differs.

    Args:
        make_server: folder -> a running server with ``url``, ``restart`` and ``stop``.
        results: file of the row.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--restarts", type=int, default=4)
    arguments = parser.parse_args()
    rng = child_rng(9, "restarts")
    script = sorted(int(n) for n in rng.integers(5, int(0.9 * arguments.trials), arguments.restarts))
    place = Path(tempfile.mkdtemp())
    reference, folder = place / "reference", place / "run"
    database = place / "database"
    for path in (reference, folder, database):
        path.mkdir()
    place.chmod(0o755)
    server = make_server(database)

    def search(where, storage):
        log = (where / "driver.log").open("a")
        command = [sys.executable, str(HERE / "driver.py"), str(where), "inline", str(arguments.trials)]
        return subprocess.Popen([*command, storage], stdout=log, stderr=log)

    try:
        search(reference, "journal").wait()
        # The first to open a database makes its tables; two at once would get in each other's way.
        with suppress(LedgerError):
            read_ledger(server.url, study_name=folder.name)
        running, left, began = search(folder, server.url), list(script), time.monotonic()
        while running.poll() is None:
            time.sleep(0.1)
            try:
                count = len(read_ledger(server.url, study_name=folder.name).trials)
            except LedgerError:
                continue
            if left and count >= left[0]:
                left.pop(0)
                server.restart()
        seconds = time.monotonic() - began
        got = read_ledger(server.url, study_name=folder.name).trials
    finally:
        server.stop()
    wanted = recorded(reference)
    outcome = json.loads((folder / "outcome.json").read_text())
    written = "".join(p.read_text() for p in folder.iterdir())
    row = {
        "trials": len(got),
        "restarts": arguments.restarts - len(left),
        "sessions": 1,
        "different": sum(identity(a) != identity(b) for a, b in zip(wanted, got, strict=False)),
        "stopped_by": outcome["stopped_by"],
        "password_shown": PASSWORD in written,
        "seconds": round(seconds),
    }
    shutil.rmtree(place)
    print(json.dumps(row, indent=1))
    results.write_text(json.dumps(row, indent=1) + "\n")
    good = len(got) == arguments.trials and not row["different"] and not row["password_shown"]
    sys.exit(0 if good and not left and outcome["stopped_by"] == "trials" else 1)
