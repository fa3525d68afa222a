"""Prefilter: options that the roofline rules out are struck before anything is timed, with the reason.

What was struck is kept in the run folder, so that workers and resumed sessions search the space that the
first session did, on whatever machine they are.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from automl.evaluators.roofline import Roofline
from automl.evaluators.roofline_filter import hopeless_options
from automl.stages.device import CPU
from automl.stages.device import device_named
from automl.transforms.precision import parse_precision

if TYPE_CHECKING:
    from pathlib import Path

    from automl.config import SearchConfig
    from automl.searchspaces.graph import ModelGraph
    from automl.targets.base import Legality

__all__ = ["STRUCK_FILE", "without_hopeless"]

STRUCK_FILE = "struck_by_roofline.json"

#: Metrics whose budgets make bytes worth having at any speed.
BYTE_METRICS = frozenset({"size_bytes", "weight_bits", "memory_bytes", "bops"})


def without_hopeless(
    config: SearchConfig, graph: ModelGraph, legality: Legality, folder: Path, cache: Path
) -> Legality:
    """Return the legality without options that cannot be faster.

    Nothing is struck when a budget limits bytes, when options are named, or when no option is weight-only.

    Args:
        config: the run's configuration.
        graph: the traced model.
        legality: what the target runs.
        folder: the run folder.
        cache: folder of tables shared by runs; keeps the measured device.
    """
    if config.options or BYTE_METRICS & {b.metric for b in config.budgets}:
        return legality
    if not any(parse_precision(o).weight_only for options in legality.options.values() for o in options):
        return legality
    file, key = folder / STRUCK_FILE, _key(config, graph, legality)
    rows = _stored(file, key)
    if rows is None:
        device = device_named(config.estimate or CPU, cache, config.threads)
        roofline = Roofline(graph, device, batch=config.batch)
        rows = hopeless_options(
            roofline,
            legality.options,
            legality.ties,
            legality.float_types,
            estimated=config.estimate is not None,
        )
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"key": key, "struck": rows}))
    gone = {(site, option) for site, option, _ in rows}
    options = {s: tuple(o for o in names if (s, o) not in gone) for s, names in legality.options.items()}
    return replace(legality, options=options, struck=(*legality.struck, *rows))


def _key(config: SearchConfig, graph: ModelGraph, legality: Legality) -> str:
    text = json.dumps([config.identity(), graph.fingerprint, repr(legality)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _stored(file: Path, key: str) -> list[tuple[str, str, str]] | None:
    """Return what the run struck before; None when it has not decided, or for another configuration."""
    try:
        found = json.loads(file.read_text())
        if found["key"] != key:
            return None
        return [(site, option, reason) for site, option, reason in found["struck"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
