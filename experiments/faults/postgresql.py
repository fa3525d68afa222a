"""A PostgreSQL ledger whose server is killed and started again while a search records in it.

    python experiments/faults/postgresql.py [--trials 200] [--restarts 4]

Needs the server's programs (Debian package postgresql), its user ``postgres`` and the driver psycopg. The
server listens on the loopback address with a password. An immediate restart loses what is not committed, and
every connection. Exit status 1 if anything differs.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from restarts import PASSWORD  # noqa: E402
from restarts import free_port  # noqa: E402
from restarts import run_study  # noqa: E402

USER = "postgres"


def programs():
    """Return the folder of initdb and pg_ctl."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not found:
        raise SystemExit("PostgreSQL is not installed; on Debian: apt-get install postgresql")
    return found[-1].parent


class Server:
    """One PostgreSQL server of its own, as a user that may run it."""

    def __init__(self, place):
        self.folder, self.bin = place / "data", programs()
        self.user = USER if os.geteuid() == 0 else None
        self.port = free_port()
        secret = place / "password"
        secret.write_text(PASSWORD)
        if self.user:
            account = pwd.getpwnam(USER)
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

    def restart(self):
        self.control("restart", "-m", "immediate")

    def stop(self):
        self.control("stop", "-m", "immediate")


if __name__ == "__main__":
    run_study(Server, HERE / "postgresql.json")
