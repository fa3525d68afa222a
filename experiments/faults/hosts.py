"""A Ray cluster whose nodes are network namespaces of this machine, each with its own address and disk.

Needs root. The head is in the namespace of the machine, without processors; the driver runs beside it.
"""

from __future__ import annotations

import errno
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

BRIDGE = "faults0"
NET = "10.77.0"
PORT = 6399
DISK_MB = 8
#: How fast the cluster finds out that a node is gone, about 15 s, and patience with a slow machine elsewhere.
SETTINGS = {
    "RAY_health_check_initial_delay_ms": "5000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "5",
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_worker_register_timeout_seconds": "300",
    "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "300",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}


def command(*words, check=True):
    return subprocess.run(words, check=check, capture_output=True, text=True)


class Cluster:
    """The bridge, the head and the hosts.

    Args:
        place: an empty folder; ``place/disk`` is another disk on each host.
        hosts: how many, each with one processor.
    """

    def __init__(self, place, hosts):
        self.disk = place / "disk"
        self.disk.mkdir()
        self.log = (place / "ray.log").open("a")
        self.environment = {**os.environ, **SETTINGS, "FAULTS_DISK": str(self.disk)}
        self.address = f"{NET}.1:{PORT}"
        self.down()
        command("ip", "link", "add", BRIDGE, "type", "bridge")
        command("ip", "addr", "add", f"{NET}.1/24", "dev", BRIDGE)
        command("ip", "link", "set", BRIDGE, "up")
        self.head = self.ray(
            [],
            "--head",
            f"--node-ip-address={NET}.1",
            f"--port={PORT}",
            "--num-cpus=0",
            "--include-dashboard=false",
            f"--temp-dir={place}/ray",
        )
        self.wait_for_head()
        self.hosts = [Host(self, number) for number in range(hosts)]

    def ray(self, before, *options):
        line = [*before, str(Path(sys.executable).with_name("ray")), "start", "--block"]
        line += ["--disable-usage-stats", "--object-store-memory=80000000", *options]
        return subprocess.Popen(line, env=self.environment, stdout=self.log, stderr=self.log)

    def wait_for_head(self):
        for _ in range(300):
            try:
                socket.create_connection((f"{NET}.1", PORT), timeout=1).close()
                time.sleep(3)
                return
            except OSError:
                time.sleep(1)
        raise SystemExit("the head did not start")

    def tend(self):
        """Start again what has ended, unless it is cut off."""
        for host in self.hosts:
            if host.cut_until is None and host.process.poll() is not None:
                host.join()
            host.heal()

    def close(self):
        for process in [*(h.process for h in self.hosts), self.head]:
            end(process)
        self.down()

    @staticmethod
    def down():
        for name in command("ip", "netns", "list").stdout.split():
            if name.startswith("faults-"):
                command("ip", "netns", "del", name, check=False)
        # A namespace goes when its last process does, its link at once.
        for line in command("ip", "-o", "link", "show", "type", "veth").stdout.splitlines():
            link = line.split()[1].partition("@")[0].rstrip(":")
            if link.startswith("faults-v"):
                command("ip", "link", "del", link, check=False)
        command("ip", "link", "del", BRIDGE, check=False)


def end(process):
    """Kill a process and everything that it started."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.kill()
    process.wait()
    for child in family:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue


class Host:
    """One network namespace and the Ray node in it."""

    def __init__(self, cluster, number):
        self.cluster, self.name, self.link = cluster, f"faults-{number}", f"faults-v{number}"
        self.address = f"{NET}.{11 + number}"
        self.cut_until = self.full_until = None
        command("ip", "netns", "add", self.name)
        peer = f"faults-p{number}"
        command("ip", "link", "add", self.link, "type", "veth", "peer", "name", peer)
        command("ip", "link", "set", peer, "netns", self.name)
        command("ip", "link", "set", self.link, "master", BRIDGE, "up")
        inside = ["ip", "netns", "exec", self.name, "ip"]
        command(*inside, "addr", "add", f"{self.address}/24", "dev", peer)
        command(*inside, "link", "set", peer, "up")
        command(*inside, "link", "set", "lo", "up")
        self.join()

    def join(self):
        mount = f"mount -t tmpfs -o size={DISK_MB}m none {self.cluster.disk}; exec "
        before = ["ip", "netns", "exec", self.name, "unshare", "--mount", "--propagation", "private"]
        before += ["sh", "-c", mount + '"$@"', "sh"]
        self.full_until = None
        self.process = self.cluster.ray(
            before, f"--address={self.cluster.address}", f"--node-ip-address={self.address}", "--num-cpus=1"
        )

    def family(self):
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def kill_worker(self, rng):
        """Kill one of the processes that hold a worker; return whether there was one."""
        found = []
        for child in self.family():
            try:
                if "_Actor" in " ".join(child.cmdline()):
                    found.append(child)
            except psutil.NoSuchProcess:
                continue
        if not found:
            return False
        return kill(found[int(rng.integers(len(found)))])

    def kill_raylet(self):
        for child in self.family():
            try:
                if child.name() == "raylet":
                    return kill(child)
            except psutil.NoSuchProcess:
                continue
        return False

    def cut(self, seconds):
        if self.cut_until is not None:
            return False
        command("ip", "link", "set", self.link, "down")
        self.cut_until = time.monotonic() + seconds
        return True

    def fill(self, seconds):
        if self.full_until is not None or self.process.poll() is not None:
            return False
        try:
            with self.filling.open("wb") as file:
                while True:
                    file.write(bytes(65536))
                    file.flush()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                return False
        self.full_until = time.monotonic() + seconds
        return True

    @property
    def filling(self):
        """The file that fills the host's disk, seen through one of its processes."""
        return Path(f"/proc/{self.process.pid}/root{self.cluster.disk}/filling")

    def heal(self):
        now = time.monotonic()
        if self.cut_until is not None and now > self.cut_until:
            command("ip", "link", "set", self.link, "up")
            self.cut_until = None
        if self.full_until is not None and now > self.full_until:
            self.filling.unlink(missing_ok=True)
            self.full_until = None


def kill(process):
    try:
        process.send_signal(signal.SIGKILL)
    except psutil.NoSuchProcess:
        return False
    return True
