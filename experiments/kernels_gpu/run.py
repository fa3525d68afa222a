"""Are the kernels right on this GPU, and how fast beside its roofline and the best of torch?

    python experiments/kernels_gpu/run.py --rounds 50
    python experiments/kernels_gpu/run.py --kernels w8a8_linear w4a16_linear
    python experiments/kernels_gpu/run.py --table

``automl kernels check`` comes first: where one case is beyond its bound, nothing is timed. Rows are
kept in ``results.json`` under the device's name, contest by contest; a kernel that is measured again replaces
its own. ``--table`` measures nothing and prints what the README shows.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from automl.kernels.checking import check_kernels
from automl.kernels.device_contenders import CONTESTS
from automl.stages.kernel_bench_device import measure_on_device
from automl.stages.kernel_bench_device import wanted_device

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"


def gate(kernels: list[str]) -> list[dict]:
    """Return the rows of the check, on the device for Triton's kernels."""
    rows = []
    for row in check_kernels(kernels):
        rows.append(asdict(row))
        print(f"check {row.kernel} {row.implementation}: {row.cases} cases, {row.failed} failed {row.reason}")
    return rows


def table(kept: dict) -> None:
    for device, body in kept.items():
        print(f"\n{device}, {body['runtime']}, {body['driver']}, commit {body['commit']}\n")
        print(
            "| kernel | (m, k, n) | call | median ms | quartiles | of roofline | times best torch | launch |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for row in body["rows"]:
            print(f"| {row['kernel']} | {row['m']}, {row['k']}, {row['n']} | {row['call']} | {cells(row)} |")


def cells(row: dict) -> str:
    if row["median_ms"] is None:
        return f"cannot run: {row['reason']} | | | |"
    share = "" if row["of_roofline"] is None else f"{100 * row['of_roofline']:.0f} %"
    times = "" if row["times_best_torch"] is None else f"{row['times_best_torch']:.2f}"
    launch = row["launch"] + (f" ({row['reason']})" if row["reason"] else "")
    spread = f"{row['low_ms']:.4f} to {row['high_ms']:.4f}"
    return f"{row['median_ms']:.4f} | {spread} | {share} | {times} | {launch}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--kernels", nargs="*", default=list(CONTESTS))
    parser.add_argument("--table", action="store_true", help="measure nothing, print the tables")
    options = parser.parse_args()
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if options.table:
        table(kept)
        return
    wanted_device("cuda")
    checks = gate(options.kernels)
    if any(row["failed"] for row in checks):
        sys.exit("a kernel differs from its reference on this device; nothing was timed")
    served = {r["kernel"] for r in checks if r["implementation"] == "triton" and r["cases"]}
    if unchecked := set(options.kernels) - served:
        sys.exit(f"no case of {', '.join(sorted(unchecked))} could run on this device; nothing was timed")
    for kernel in options.kernels:
        rows, facts = measure_on_device([kernel], rounds=options.rounds)
        before = kept.get(facts["device"], {})
        others = [r for r in before.get("rows", []) if r["kernel"] != kernel]
        older = [r for r in before.get("checks", []) if r["kernel"] != kernel]
        mine = [{**asdict(row), "commit": facts["commit"], "driver": facts["driver"]} for row in rows]
        done = older + [r for r in checks if r["kernel"] == kernel]
        kept[facts["device"]] = {**facts, "checks": done, "rows": others + mine}
        RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
        print(f"bench {kernel}: {len(rows)} rows", flush=True)
    table(kept)


if __name__ == "__main__":
    main()
