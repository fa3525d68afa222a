"""The storage URL of a run, password and all, in a file of its own that only its owner reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.core.storage_url import public_url

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["STORAGE_FILE", "keep_storage", "kept_storage"]

STORAGE_FILE = "storage.url"


def keep_storage(folder: Path, url: str | None) -> None:
    """Write what a resumed run needs and its configuration does not show.

    Args:
        folder: exists.
        url: of the storage; where it holds nothing to hide no file is written.

    Raises:
        OSError: the file cannot be written.
    """
    if url is None or url == public_url(url):
        return
    file = folder / STORAGE_FILE
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text(url, encoding="utf-8")


def kept_storage(folder: Path) -> str | None:
    """Return the URL of :func:`keep_storage`, None when there is none."""
    file = folder / STORAGE_FILE
    return file.read_text(encoding="utf-8") if file.is_file() else None
