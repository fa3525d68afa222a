"""A profile of two layers, an attention and a view, measured or not."""

from __future__ import annotations

from automl.artifact.profile_data import ProfileData
from automl.artifact.profile_data import ProfileFit
from automl.artifact.profile_data import ProfileRow


def example_profile(*, measured=True, name="net"):
    times = (0.5, 0.02, 0.1, None) if measured else (None,) * 4
    rows = (
        ProfileRow("up", "linear", True, 1e6, 2e6, 1e5, "compute", 0.2, times[0]),
        ProfileRow("<down>", "linear", True, 1e4, 2e4, 1e5, "memory", 0.01, times[1]),
        ProfileRow("scores", "attention", False, 1e5, 3e5, 5e4, "compute", 0.05, times[2]),
        ProfileRow("copy", "copy", False, 0.0, 0.0, 1e4, "memory", 0.001, times[3]),
    )
    return ProfileData(
        model=name,
        setting="batch 1",
        device="a processor (cpu)",
        device_measured=True,
        runtime="runtime 1" if measured else "",
        peaks={"f32": 1e10, "bf16": 4e10},
        bandwidth=1e10,
        rows=rows,
        fit=ProfileFit(12, 0.95, 1.2, 1.1, 0.002, 0.18) if measured else None,
        cache_bytes_per_token=2048.0,
        notes=("A note.",),
    )
