"""OpenVINO reports its import to its makers from a forked process; nothing of ours may do that."""

from __future__ import annotations

import sys

__all__ = ["forbid_openvino_telemetry"]


def forbid_openvino_telemetry() -> None:
    """Make OpenVINO use its own stub; call it before ``import openvino``.

    The report would leave this machine without the user being asked, and its forked process inherits our
    pipes: a worker's end was not seen while it hung. With the package hidden OpenVINO falls back to its stub.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
