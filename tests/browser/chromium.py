"""Drive headless Chromium by its command line; nothing but the browser is needed."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--virtual-time-budget=4000",
)


def browser() -> str | None:
    """Return the browser's command, or None where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def run(address: str, profile: Path, *actions: str, width: int = 1300, height: int = 1600) -> tuple[str, str]:
    """Open ``address`` and return (what the browser writes for ``actions``, its log)."""
    command = browser()
    assert command is not None, (
        "headless Chromium is not installed: run `make browser` as root, "
        "or leave these tests out with -m 'not browser'"
    )
    done = subprocess.run(
        [
            command,
            *_FLAGS,
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            *actions,
            address,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout, done.stderr
