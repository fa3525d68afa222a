"""Plans on disk: one ``.npz`` without pickled objects, arrays by site and a JSON header."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from automl.core.errors import ArtifactError
from automl.transforms.plan import ActivationQuantizer
from automl.transforms.plan import QuantizationPlan
from automl.transforms.plan import QuantizedWeight

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["load_plan", "save_plan"]

SCHEMA = 1


def save_plan(path: Path, plan: QuantizationPlan) -> None:
    """Write a plan; the file appears in one rename."""
    arrays: dict[str, NDArray[np.generic]] = {}
    sites = []
    for index, (site, weight) in enumerate(plan.weights.items()):
        arrays[f"codes_{index}"], arrays[f"scale_{index}"] = weight.codes, weight.scale
        if weight.bias is not None:
            arrays[f"bias_{index}"] = weight.bias
        sites.append([site, weight.bits, weight.group])
    header = {
        "schema": SCHEMA,
        "sites": sites,
        "edges": [[value, reader, asdict(q)] for (value, reader), q in plan.edges.items()],
        "float_type": plan.float_type,
        "precisions": dict(plan.precisions),
    }
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    temporary = path.with_name(path.name + ".tmp.npz")
    np.savez(temporary, allow_pickle=False, **arrays)
    temporary.replace(path)


def load_plan(path: Path) -> QuantizationPlan:
    """Return the plan that :func:`save_plan` wrote.

    Raises:
        ArtifactError: the file is missing, damaged, or of another version.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            header = json.loads(stored["header"].tobytes())
            if header["schema"] != SCHEMA:
                raise ArtifactError(f"{path} has schema {header['schema']}; this version reads {SCHEMA}")
            weights = {}
            for index, (site, bits, group) in enumerate(header["sites"]):
                bias = stored.get(f"bias_{index}")
                codes, scale = stored[f"codes_{index}"], stored[f"scale_{index}"]
                weights[site] = QuantizedWeight(codes, scale, bits, group, bias)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"the plan {path} cannot be read ({error}); confirm the run again") from error
    shared: dict[tuple[str, float, int], ActivationQuantizer] = {}
    edges = {}
    for value, reader, fields in header["edges"]:
        quantizer = ActivationQuantizer(**fields)
        edges[(value, reader)] = shared.setdefault((value, quantizer.scale, quantizer.zero_point), quantizer)
    return QuantizationPlan(weights, edges, header["float_type"], header["precisions"])
