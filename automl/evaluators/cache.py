"""An on-disk cache of JSON values by the content of their keys, shared by runs and processes."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from automl.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    Key = Mapping[str, Any] | Sequence[Any]

__all__ = ["ContentCache"]

#: Version of the stored form; entries of another version are computed again.
SCHEMA = 1


class ContentCache:
    """Values filed under the SHA-256 of their key, one file each.

    A file is written under a temporary name and renamed, so readers see the old entry or the new one. A file
    that is torn, of another schema or of another key counts as absent and is written again.

    Args:
        root: folder of the cache; made at the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def path(self, key: Key) -> Path:
        """Return the file of ``key``; a JSON object (its order does not matter) or a list of parts."""
        digest = hashlib.sha256(_canonical(key).encode()).hexdigest()
        return self.root / digest[:2] / f"{digest[2:]}.json"

    def get(self, key: Key) -> Any | None:
        """Return the value of ``key``, or None when there is no readable one."""
        try:
            entry = json.loads(self.path(key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(entry, dict) or entry.get("schema") != SCHEMA or "value" not in entry:
            return None
        return entry["value"] if _canonical(entry.get("key", {})) == _canonical(key) else None

    def put(self, key: Key, value: Any) -> None:
        """Store a JSON value without NaN.

        Raises:
            ConfigError: the folder cannot be written.
        """
        text = json.dumps({"schema": SCHEMA, "key": key, "value": value}, allow_nan=False)
        path = self.path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                Path(name).replace(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise ConfigError(
                f"the cache folder '{self.root}' cannot be written ({error.strerror}); choose another folder"
            ) from error


def _canonical(key: Key) -> str:
    return json.dumps(key, sort_keys=True, separators=(",", ":"), allow_nan=False)
