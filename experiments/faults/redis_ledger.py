"""A Redis ledger whose server is killed and started again while a search records in it.

    python experiments/faults/redis_ledger.py [--trials 200] [--restarts 4]

Needs the server (Debian package redis-server) and the driver redis. The server listens on the loopback
address with a password and syncs every write (``appendonly yes``, ``appendfsync always``). Exit status 1 if
anything differs.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import redis

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from restarts import PASSWORD  # noqa: E402
from restarts import free_port  # noqa: E402
from restarts import run_study  # noqa: E402


class Server:
    """One Redis server of its own."""

    def __init__(self, place):
        self.port = free_port()
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        options = f"bind 127.0.0.1\nport {self.port}\nrequirepass {PASSWORD}\ndir {place}\n"
        self.settings = place / "redis.conf"
        self.settings.write_text(options + "appendonly yes\nappendfsync always\n")
        self.log = (place / "server.log").open("a")
        self.start()

    def start(self):
        self.process = subprocess.Popen(["redis-server", str(self.settings)], stdout=self.log)
        for _ in range(100):
            try:
                redis.Redis.from_url(self.url).ping()
                return
            except redis.exceptions.RedisError:
                time.sleep(0.1)
        raise SystemExit("the server did not start")

    def restart(self):
        self.stop()
        self.start()

    def stop(self):
        self.process.kill()
        self.process.wait()


if __name__ == "__main__":
    run_study(Server, HERE / "redis.json")
