"""How long a run will take: what there is to do times what each step took when it was done first."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Amounts", "Paces", "duration_text", "estimate"]

#: Runs of a timed model per run that counts: one untimed run leads every burst of four.
BURST = 1.25

#: Rounds are repeated when the machine was disturbed; timed and reference model alternate.
PAIR = 2.0

#: A design is profiled for half as many runs as it is timed.
PROFILED = 0.5

#: Passes of the torch model per calibration sample that repair one finalist, and roundings of every layer.
REPAIR_PASSES = 4.0
REPAIR_ROUNDINGS = 3.0


@dataclass(frozen=True)
class Amounts:
    """What a run still has to do.

    Args:
        roundings: weights to round, in multiples of the one that was timed.
        passes: torch passes of one sample for the sensitivities; a re-run from a layer on counts its share.
        designs: designed mixes to time and profile.
        trials: candidates of the search.
        finalists: models to confirm.
        repairs: finalists to repair.
        layer_roundings: one rounding of every layer, in the same multiples.
        repeats: timed runs of a design or trial.
        confirm_repeats: timed runs of a finalist.
        evaluation: samples that quality is measured on.
        calibration: samples that repair runs on.
        workers: processes that evaluate quality.
    """

    roundings: float
    passes: float
    designs: int
    trials: int
    finalists: int
    repairs: int
    layer_roundings: float
    repeats: int
    confirm_repeats: int
    evaluation: int
    calibration: int
    workers: int = 1


@dataclass(frozen=True)
class Paces:
    """How long single steps take, in seconds.

    Args:
        rounding: the weight that was timed.
        forward: one sample through the torch model.
        write: building and writing one graph.
        load: compiling one graph in the runtime.
        sample: one evaluation sample in the runtime.
        run: one timed run of the untouched model.
    """

    rounding: float
    forward: float
    write: float
    load: float
    sample: float
    run: float


def estimate(amounts: Amounts, paces: Paces) -> dict[str, float]:
    """Return seconds by phase: ``price damage``, ``price latency``, ``search``, ``confirm``.

    Every candidate is taken to be as fast as the untouched model, which overstates what is searched for, and
    no trial is taken from the cache.
    """
    timing = PAIR * BURST * amounts.repeats * paces.run
    quality = paces.load + amounts.evaluation * paces.sample
    repair = (
        REPAIR_PASSES * amounts.calibration * paces.forward
        + REPAIR_ROUNDINGS * amounts.layer_roundings * paces.rounding
        + 2 * (paces.write + paces.load)
    )
    finalist = (
        2 * paces.write
        + quality
        + paces.load
        + BURST * amounts.confirm_repeats * paces.run
        + min(amounts.evaluation, 32) * paces.forward
    )
    profile = paces.load + PROFILED * amounts.repeats * paces.run
    return {
        "price damage": amounts.roundings * paces.rounding + amounts.passes * paces.forward,
        "price latency": amounts.designs * (paces.write + paces.load + timing + profile),
        "search": amounts.trials * (paces.write + paces.load + timing + quality / amounts.workers),
        "confirm": (amounts.finalists + 1) * finalist + amounts.repairs * repair,
    }


def duration_text(seconds: float) -> str:
    """Return a duration as people say it: ``45 s``, ``3 min 20 s``, ``1 h 5 min``.

    Rounded to 5 s above one minute and to 5 min above one hour; an estimate is not more exact.
    """
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    if seconds < 3600:
        minutes, rest = divmod(5 * round(seconds / 5), 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(5 * round(seconds / 300), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
