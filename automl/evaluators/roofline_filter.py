"""Options that cannot be faster whatever the kernels: struck before anything is timed.

Only weight-only options are judged: where arithmetic takes nearly all the time there is no reading of weights
to save. A runtime may quantize the activations of such a layer by itself and multiply integers (OpenVINO
does), so its best case is arithmetic at the fastest type the device has; in an estimate the roofline's own
price is the case. Whether a runtime has fast kernels for integer options is for timing to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from automl.transforms.precision import parse_precision

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from automl.evaluators.roofline import Roofline

__all__ = ["hopeless_options"]

#: Share of its time that an option must be able to save.
MARGIN = 0.05
#: How many times longer than ideal reading the float weights may take before the judgment fails.
MEMORY_SLACK = 2.0


def hopeless_options(
    roofline: Roofline,
    options: Mapping[str, Sequence[str]],
    ties: Sequence[Sequence[str]],
    float_types: Sequence[str],
    *,
    estimated: bool = False,
) -> list[tuple[str, str, str]]:
    """Return (site, option, reason) of weight-only options that cannot pay.

    An option is hopeless when its best case, arithmetic and memory overlapped at their peaks, is no more than
    ``MARGIN`` below the worst case of the float layer, arithmetic and ``MEMORY_SLACK`` times the memory in
    turn: in every float type, over all the sites that must share it.

    Args:
        roofline: of the device that the run is priced for.
        options: legal options by site.
        ties: groups of sites that share their option.
        float_types: legal float types.
        estimated: whether the roofline is itself the latency that is searched.
    """
    grouped = {s: tuple(tie) for tie in ties for s in tie}
    groups = dict.fromkeys(grouped.get(s, (s,)) for s in options)
    found: list[tuple[str, str, str]] = []
    for group in groups:
        if any(s not in roofline.by_site for s in group):
            continue
        for option in options[group[0]]:
            if not parse_precision(option).weight_only:
                continue
            cases = [_cases(roofline, group, option, t, estimated) for t in float_types]
            if all(best >= (1.0 - MARGIN) * worst for best, worst in cases):
                best, worst = max(cases, key=lambda pair: pair[1])
                reason = (
                    f"the roofline of {roofline.device.name} says it takes {best:.3g} ms at least where the "
                    f"float layer takes {worst:.3g} ms at most: it cannot save {100 * MARGIN:.0f} % of the "
                    "time, and no budget limits bytes"
                )
                found.extend((site, option, reason) for site in group)
    return found


def _cases(
    roofline: Roofline, group: Sequence[str], option: str, float_type: str, estimated: bool
) -> tuple[float, float]:
    """Return (best case of the option, worst case of float) in milliseconds."""
    best = worst = 0.0
    for site in group:
        for operator in roofline.by_site[site]:
            priced = roofline.price(operator, option, float_type)
            fastest = 2e3 * priced.work.macs / max(roofline.device.peaks.values())
            best += priced.ms if estimated else max(fastest, priced.memory_ms)
            real = roofline.price(operator, "fp", float_type)
            idle = real.ms - max(real.compute_ms, real.memory_ms)
            worst += real.compute_ms + MEMORY_SLACK * real.memory_ms + idle
    return best, worst
