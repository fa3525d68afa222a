"""A PostgreSQL ledger whose server is killed and started again while a search records in it.

    python experiments/faults/postgresql.py [--trials 300] [--restarts 5] [--user postgres]

Needs the server's programs (Debian package postgresql) and the driver psycopg. The server listens on the
loopback address with a password. An immediate restart loses what is not committed, and every connection. The
search must go on by itself and end with the trials of a search that recorded in a file; nothing it writes
may show the password. Exit status 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from run import identity  # noqa: E402
from run import recorded  # noqa: E402

from automl.core.errors import LedgerError  # noqa: E402
from automl.core.rng import child_rng  # noqa: E402
from automl.ledger import read_ledger  # noqa: E402

PASSWORD = "a-secret-of-the-test"


def programs():
    """Return the folder of initdb and pg_ctl."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not found:
        raise SystemExit("PostgreSQL is not installed; on Debian: apt-get install postgresql")
    return found[-1].parent


class Server:
    """One PostgreSQL server of its own, as a user that may run it."""

    def __init__(self, place, user):
        self.folder, self.bin = place / "data", programs()
        self.user = user if os.geteuid() == 0 else None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        secret = place / "password"
        secret.write_text(PASSWORD)
        if self.user:
            account = pwd.getpwnam(user)
            for path in (place, secret):
                os.chown(path, account.pw_uid, account.pw_gid)
        self.call("initdb", "-D", self.folder, "-U", "ledger", "-A", "scram-sha-256", f"--pwfile={secret}")
        self.options = f"-h 127.0.0.1 -p {self.port} -k {place}"
        self.control("start")

    @property
    def url(self):
        return f"postgresql+psycopg://ledger:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def call(self, program, *arguments):
        command = [str(self.bin / program), *map(str, arguments)]
        if self.user:
            command = ["runuser", "-u", self.user, "--", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")

    def control(self, verb, *more):
        log = self.folder.parent / "server.log"
        self.call("pg_ctl", "-D", self.folder, "-w", "-l", log, "-o", self.options, *more, verb)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--restarts", type=int, default=5)
    parser.add_argument("--user", default="postgres")
    parser.add_argument("--results", type=Path, default=HERE / "postgresql.json")
    arguments = parser.parse_args()
    rng = child_rng(9, "restarts")
    script = sorted(int(n) for n in rng.integers(5, int(0.9 * arguments.trials), arguments.restarts))
    place = Path(tempfile.mkdtemp())
    reference, folder = place / "reference", place / "run"
    database = place / "database"
    for path in (reference, folder, database):
        path.mkdir()
    place.chmod(0o755)
    server = Server(database, arguments.user)

    def search(where, storage):
        log = (where / "driver.log").open("a")
        command = [sys.executable, str(HERE / "driver.py"), str(where), "inline", str(arguments.trials)]
        return subprocess.Popen([*command, storage], stdout=log, stderr=log)

    try:
        search(reference, "journal").wait()
        running, left, began = search(folder, server.url), list(script), time.monotonic()
        while running.poll() is None:
            time.sleep(0.1)
            try:
                count = len(read_ledger(server.url, study_name=folder.name).trials)
            except LedgerError:
                continue
            if left and count >= left[0]:
                left.pop(0)
                server.control("restart", "-m", "immediate")
        seconds = time.monotonic() - began
        got = read_ledger(server.url, study_name=folder.name).trials
    finally:
        server.control("stop", "-m", "immediate")
    wanted = recorded(reference)
    outcome = json.loads((folder / "outcome.json").read_text())
    written = "".join(p.read_text() for p in folder.iterdir())
    results = {
        "trials": len(got),
        "restarts": arguments.restarts - len(left),
        "sessions": 1,
        "different": sum(identity(a) != identity(b) for a, b in zip(wanted, got, strict=False)),
        "stopped_by": outcome["stopped_by"],
        "password_shown": PASSWORD in written,
        "seconds": round(seconds),
    }
    shutil.rmtree(place)
    print(json.dumps(results, indent=1))
    arguments.results.write_text(json.dumps(results, indent=1) + "\n")
    good = len(got) == arguments.trials and not results["different"] and not results["password_shown"]
    sys.exit(0 if good and not left and outcome["stopped_by"] == "trials" else 1)


if __name__ == "__main__":
    main()
