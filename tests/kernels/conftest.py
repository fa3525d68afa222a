"""Triton runs in its interpreter here; set before any kernel is imported, because jit reads it then."""

from __future__ import annotations

import os

os.environ["TRITON_INTERPRET"] = "1"
