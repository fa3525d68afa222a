"""Does anything simple dominate the returned front, everything measured again side by side?

    python experiments/front/run.py --shared DIR
    python experiments/front/run.py --shared DIR --selection 186
    python experiments/front/run.py --shared DIR --images 40 --calibration 8 --effort quick --trials 8 \\
        --prices 3 --repeats 20 --results small.json

Competitors: every uniform configuration the target runs, and the exact answers of an additive program whose
latency is the plain per-layer sum, each as rounded at first and repaired like the front's own members. All
are timed interleaved in two processes, one after the other, and evaluated on the same images. A competitor
that is at least as good as a member in both and better in one dominates it *strictly*; when such a difference
also exceeds its 95 % interval (paired for accuracy, of the median for latency), *beyond the interval*. With
``--selection N`` the search sees only N of the evaluation images; the others give a verdict of their own.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "export_quality"))

from competitors import competitors  # noqa: E402
from side_by_side import Bench  # noqa: E402
from side_by_side import load_loaders  # noqa: E402
from side_by_side import markdown  # noqa: E402
from side_by_side import provenance  # noqa: E402
from side_by_side import quality  # noqa: E402
from side_by_side import save_images  # noqa: E402
from side_by_side import search_in  # noqa: E402
from side_by_side import study_parser  # noqa: E402
from side_by_side import talk  # noqa: E402
from side_by_side import work_folder  # noqa: E402

from automl.config import make_config  # noqa: E402
from automl.core.candidate import Candidate  # noqa: E402
from automl.core.indicators import hypervolume  # noqa: E402
from automl.core.rng import child_seed  # noqa: E402
from automl.data.loading import load_data  # noqa: E402
from automl.evaluators.quality_math import paired_difference_interval  # noqa: E402
from automl.stages.price import price  # noqa: E402
from automl.targets.timing import summarize  # noqa: E402
from automl.transforms.precision import PRECISIONS  # noqa: E402

if TYPE_CHECKING:
    from side_by_side import Built

    from automl.core.samples import Samples

COLUMNS = {
    "kind": "kind",
    "name": "model",
    "float": "float part",
    "repair": "repaired",
    "top1": "top-1 %|.1f",
    "agreement": "agreement %|.1f",
    "kl": "KL|.4f",
    "latency": "latency ms",
    "latency_over_f32": "of f32|.3f",
    "repeat_error": "second sitting|+.1%",
    "plain_ms": "plain sum ms|.2f",
    "dominated": "dominated by (all / beyond the interval)",
}


def measure(bench: Bench, rows: list[Built], data: Samples, repeats: int) -> list[dict[str, Any]]:
    """Return one line a row; latency is pooled over two sittings, the speed of each divided out."""
    inputs, labels = data.inputs[0], data.labels
    sittings = [bench.times(rows, inputs, repeats) for _ in range(2)]
    medians = np.array([np.median(times, axis=1) for times in sittings])
    speed = medians[:, 0] / medians[:, 0].mean()
    pooled = np.concatenate([times / s for times, s in zip(sittings, speed, strict=True)], axis=1)
    ratio = medians / medians[:, :1]
    reference = bench.predict(rows[0], inputs)
    lines = []
    for index, (row, samples) in enumerate(zip(rows, pooled, strict=True)):
        logits, timing = bench.predict(row, inputs), summarize(samples)
        line = {
            "kind": row.kind,
            "name": row.name,
            "float": row.float_type,
            "repair": row.repair,
            **quality(logits, reference, labels),
            "latency_ms": timing.median_ms,
            "latency_low_ms": timing.low_ms,
            "latency_high_ms": timing.high_ms,
            "latency": f"{timing.median_ms:.2f} [{timing.low_ms:.2f}, {timing.high_ms:.2f}]",
            "latency_over_f32": timing.median_ms / float(np.median(pooled[0])),
            "repeat_error": float(ratio[1, index] / ratio[0, index] - 1),
            "size_bytes": row.size_bytes,
            "candidate": row.candidate.as_dict,
            "hits": "".join(map(str, (logits.argmax(1) == labels).astype(int))),
            "function": hashlib.sha256(logits.tobytes()).hexdigest()[:16],
        }
        lines.append(line)
        sys.stderr.write(f"{row.kind} {row.name} {row.repair}: {line['top1']:.2f} {line['latency']}\n")
    return lines


def hits(line: dict[str, Any], part: slice) -> np.ndarray:
    """Return 1 where an image of ``part`` is classified correctly."""
    return np.array(list(map(int, line["hits"])))[part]


def dominates(other: dict[str, Any], member: dict[str, Any], part: slice) -> str | None:
    """Return how ``other`` dominates ``member``: ``strictly``, ``beyond the interval``, or None.

    The same logits in the same float type are the same model, which does not dominate itself.
    """
    if (other["float"], other["function"]) == (member["float"], member["function"]):
        return None
    first, second = hits(other, part), hits(member, part)
    gain, faster = int(first.sum() - second.sum()), member["latency_ms"] - other["latency_ms"]
    if gain < 0 or faster < 0 or (gain == 0 and faster == 0):
        return None
    low, _ = paired_difference_interval(int((first > second).sum()), int((second > first).sum()), len(first))
    beyond = (gain > 0 and low > 0) or other["latency_high_ms"] < member["latency_low_ms"]
    return "beyond the interval" if beyond else "strictly"


def verdict(lines: list[dict[str, Any]], part: slice) -> dict[str, Any]:
    """Mark what dominates each member on the images of ``part``; return the counts and hypervolumes."""
    front = [r for r in lines if r["kind"] == "front"]
    others = [r for r in lines if r["kind"] != "front"]
    counts = {"strictly": 0, "beyond the interval": 0}
    for member in front:
        found = [(o, dominates(o, member, part)) for o in others]
        names = {
            f"{o['kind']} {o['name']}, {o['float']}, repair {o['repair']}": how for o, how in found if how
        }
        hard = [n for n, how in names.items() if how == "beyond the interval"]
        counts["strictly"] += bool(names)
        counts["beyond the interval"] += bool(hard)
        member["dominated"] = f"{len(names)} / {len(hard)}"
        member["dominated_by"] = names
    base, top1 = lines[0]["latency_ms"], 100 * float(hits(lines[0], part).mean())
    references = {
        "twice the latency of f32, no accuracy": (0.0, 2 * base),
        "latency of f32, its accuracy minus 5 points": (5.0 - top1, base),
    }
    sets = {"front": front, "competitors": others, "all": lines}
    points = {
        key: np.array([[-100 * hits(r, part).mean(), r["latency_ms"]] for r in rows])
        for key, rows in sets.items()
    }
    return {
        "images": len(hits(lines[0], part)),
        "members": len(front),
        "competitors": len(others),
        "members_dominated": counts,
        "hypervolume": {
            name: {key: hypervolume(found, np.array(reference)) for key, found in points.items()}
            for name, reference in references.items()
        },
    }


def repeat_error(lines: list[dict[str, Any]]) -> dict[str, float]:
    """Return mean and largest difference between the sittings, as fractions."""
    errors = [abs(r["repeat_error"]) for r in lines]
    return {"mean": float(np.mean(errors)), "largest": float(np.max(errors))}


def main() -> None:
    parser = study_parser(__doc__, HERE)
    parser.add_argument(
        "--budget", action="append", default=[], help="budget of the search, none when absent"
    )
    parser.add_argument("--images", type=int, help="labelled images used; all when absent")
    parser.add_argument("--calibration", type=int, default=128)
    parser.add_argument("--prices", type=int, default=8, help="budgets of the additive program")
    parser.add_argument("--repeats", type=int, default=100, help="timed runs of each row in each sitting")
    parser.add_argument(
        "--selection", type=int, help="evaluation images that the search sees; all when absent"
    )
    options = parser.parse_args()
    images, labels = load_loaders(options.shared).imagenet_sample(options.images)
    total = len(images) - options.calibration
    seen = min(options.selection or total, total)
    with work_folder(options) as folder:
        settings = {
            "model": "efficientnet_lite0",
            "data": save_images(folder / "labelled.npz", images, labels),
            "budget": options.budget,
            "calibration": options.calibration,
            "evaluation": seen,
            "effort": options.effort,
            "trials": options.trials,
            "seed": options.seed,
            "threads": options.threads,
            "cache": folder / "cache",
        }
        config = make_config(settings)
        result = search_in(config, folder / "run")
        nominal = float((folder / "run" / "nominal_ms.json").read_text())
        bench = Bench(config, folder / "own", folder / "cache", nominal)
        prices = price(bench.evaluator, talk)
        options_all = [o for o in PRECISIONS if o != "fp"]
        everything = Bench(
            make_config({**settings, "options": options_all}), folder / "all", folder / "cache"
        )
        others, plain = competitors(bench, everything, prices, options.prices)
        everything.target.close()
        # the same order as the search's, whose images are the last ones
        where = {
            "calibration": options.calibration,
            "evaluation": total,
            "seed": child_seed(options.seed, "data"),
        }
        data = load_data(config.data, bench.bench.model, **where).evaluation
        lines = measure(bench, [*others, *bench.members(result, "front")], data, options.repeats)
        record = provenance(bench.target, options, evaluation_images=total, seen_by_the_search=seen)
        bench.target.close()
    for line in lines:
        line["plain_ms"] = plain.get(Candidate.of(line["candidate"]).digest)
    found = {"unseen": verdict(lines, slice(0, total - seen))} if seen < total else {}
    found = {**found, "all": verdict(lines, slice(None)), "repeat_error": repeat_error(lines)}
    options.results.write_text(json.dumps({**record, "verdict": found, "rows": lines}, indent=1) + "\n")
    print(markdown(COLUMNS, lines))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
