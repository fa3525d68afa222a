"""What the studies of exported models share: images, artifacts of any candidate, one measurement for all."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import torch

from automl import __version__
from automl.api import run_config
from automl.artifact.load import load_artifact
from automl.artifact.manifest import package_versions
from automl.data.preprocessing import normalize
from automl.evaluators.quality import score
from automl.stages.confirm import _Confirmer
from automl.stages.evaluate import CandidateEvaluator
from automl.stages.prepare import prepare
from automl.stages.simulate import plan_file
from automl.transforms.materialize import materialize
from automl.transforms.plan_file import load_plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from automl.api_result import SearchResult
    from automl.config import SearchConfig
    from automl.core.candidate import Candidate
    from automl.stages.events import Progressed
    from automl.transforms.plan import QuantizationPlan

BATCH = 8


@dataclass(frozen=True, eq=False)
class Built:
    """A deployable file of one row; ``repair`` is ``no``, ``yes``, or ``refused`` where it did not help."""

    kind: str
    name: str
    file: Path
    float_type: str
    size_bytes: int
    repair: str = "no"
    plan: QuantizationPlan | None = None
    candidate: Candidate | None = None
    folder: Path | None = None


def study_parser(text: str | None, here: Path) -> argparse.ArgumentParser:
    """Return a parser with the options that all studies take."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder of loaders.py and its data")
    parser.add_argument("--folder", type=Path, help="keeps runs and tables; temporary when absent")
    parser.add_argument("--results", type=Path, default=here / "results.json")
    parser.add_argument("--effort", default="standard")
    parser.add_argument("--trials", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)
    return parser


@contextmanager
def work_folder(options: argparse.Namespace) -> Iterator[Path]:
    """Yield the folder everything is built in."""
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
        yield options.folder.resolve()
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)


def load_loaders(shared: Path) -> ModuleType:
    """Return ``loaders.py`` of the folder of labelled data as a module."""
    file = shared / "loaders.py"
    if not file.is_file():
        raise SystemExit(f"--shared {shared} holds no loaders.py; give the folder of labelled data")
    spec = importlib.util.spec_from_file_location("loaders", file)
    loaders = importlib.util.module_from_spec(spec)
    sys.modules["loaders"] = loaders
    spec.loader.exec_module(loaders)
    return loaders


def save_images(file: Path, images: np.ndarray, labels: np.ndarray | None = None) -> str:
    """Write uint8 NHWC images, with labels when given, as the product reads them; return the path."""
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, images=images, **({} if labels is None else {"labels": labels}))
    return str(file)


def talk(news: Progressed) -> None:
    """Print each stage's beginning and every eighth step to standard error."""
    if news.total is None or news.done % 8 == 0 or news.done == news.total:
        clock = f"{datetime.now(tz=UTC):%H:%M:%S}"
        sys.stderr.write(f"{clock} {news.stage} {news.done}/{news.total} {news.text}\n")


class Bench:
    """The workbench of a configuration, in a folder of its own, and artifacts of any of its candidates."""

    def __init__(
        self, config: SearchConfig, folder: Path, cache: Path, nominal_ms: float | None = None
    ) -> None:
        self.bench = prepare(config, folder, cache, talk)
        self.evaluator = CandidateEvaluator(self.bench, nominal_ms=nominal_ms)
        self.target = self.bench.target
        stamp = datetime.now(tz=UTC).isoformat(timespec="seconds")
        self._confirmer = _Confirmer(self.evaluator, stamp)
        self._count = 0

    @property
    def float_types(self) -> tuple[str, ...]:
        """What everything not quantized can be computed in, f32 first."""
        return ("f32", *(t for t in self.bench.legality.float_types if t != "f32"))

    def inputs(self, images: np.ndarray) -> np.ndarray:
        """Return uint8 NHWC images as the model takes them."""
        return np.stack([normalize(image, self.bench.model.image) for image in images])

    def build(self, kind: str, name: str, candidate: Candidate, *, repair: bool = False) -> Built:
        """Return a candidate as confirmation writes it, repaired or not, from the reloaded artifact."""
        confirmer = self._confirmer
        written = confirmer.build(candidate, repair=repair)
        self._count += 1
        file = written.rename(written.with_name(f"{self._count}-{written.name}"))
        folder = confirmer.folder(candidate)
        kept = folder.rename(folder.with_name(f"{folder.name}-{self._count}"))
        plan = confirmer.plans[candidate.digest]
        state = "yes" if self._moved(candidate, plan) else "refused" if repair and plan.weights else "no"
        size = load_artifact(kept).size_bytes
        return Built(kind, name, file, plan.float_type, size, state, plan, candidate, kept)

    def _moved(self, candidate: Candidate, plan: QuantizationPlan) -> bool:
        plain = self.evaluator.plan(candidate).weights
        return any(not np.array_equal(w.codes, plain[s].codes) for s, w in plan.weights.items())

    def floats(self) -> list[Built]:
        """Return the untouched model in f32, first, and in the runtime's other float types."""
        rows = [self.build("float", "f32", self.bench.space.default)]
        for name in self.float_types[1:]:
            candidate = self.bench.space.uniform("float", name)
            rows.append(replace(rows[0], name=name, float_type=name, candidate=candidate))
        return rows

    def members(self, result: SearchResult, kind: str) -> list[Built]:
        """Return the models of a run's front, or the nearest ones, from their artifacts."""
        rows = []
        for found in result.front or result.nearest:
            if not found.member.artifact:
                continue
            artifact = found.artifact
            file = artifact.write_onnx(self.bench.folder / "work" / f"{kind}-{found.id}.onnx")
            plan = load_plan(plan_file(result.folder, found.id))
            state = "yes" if self._moved(found.candidate, plan) else "no"
            made = (artifact.manifest.info.float_type, artifact.size_bytes, state, plan)
            rows.append(Built(kind, found.id, file, *made, found.candidate, artifact.folder))
        return rows

    def predict(self, row: Built, inputs: np.ndarray) -> np.ndarray:
        """Return the deployed logits of all images."""
        return self.target.predict(row.file, (inputs,), float_type=row.float_type, batch=BATCH)[0]

    def simulate(self, row: Built, inputs: np.ndarray) -> np.ndarray:
        """Return the logits of the torch model that stands for the deployed one."""
        model = materialize(self.bench.traced, row.plan)
        with torch.inference_mode():
            chunks = np.split(inputs, range(BATCH, len(inputs), BATCH))
            parts = [model(torch.from_numpy(chunk)) for chunk in chunks]
        return torch.cat([p[0] if isinstance(p, tuple) else p for p in parts]).numpy()

    def times(self, rows: list[Built], inputs: np.ndarray, repeats: int) -> np.ndarray:
        """Return single run times in ms, (rows, repeats), interleaved in one fresh worker process."""
        self.target.close()
        models = [(row.file, row.float_type) for row in rows]
        return np.array(self.target.run_times(models, (inputs[:1],), repeats=repeats))


def search_in(config: SearchConfig, folder: Path) -> SearchResult:
    """Run, or continue, a search in ``folder``."""
    return run_config(config, run=folder, listener=talk)


def quality(logits: np.ndarray, reference: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return top-1 and agreement with the float model in percent, divergence in nats, logit error."""
    found = score("image-classification", logits, reference, labels)
    accuracy = found["accuracy"]
    return {
        "top1": 100 * accuracy.value,
        "top1_low": 100 * accuracy.low,
        "top1_high": 100 * accuracy.high,
        "agreement": 100 * found["agreement"].value,
        "kl": found["kl"].value,
        "logit_error": logit_error(logits, reference),
    }


def logit_error(logits: np.ndarray, reference: np.ndarray) -> float:
    """Return the mean over images of the relative 2-norm error of the logits."""
    return float(np.mean(np.linalg.norm(logits - reference, axis=1) / np.linalg.norm(reference, axis=1)))


def provenance(target: Any, options: argparse.Namespace, **settings: Any) -> dict[str, Any]:
    """Return machine, versions, commit and settings, as plain JSON."""

    def git(*words: str) -> str:
        place = Path(__file__).parent
        return subprocess.run(["git", *words], cwd=place, capture_output=True, text=True, check=False).stdout

    hidden = {"shared", "folder", "results"}
    given = {k: v for k, v in vars(options).items() if k not in hidden}
    versions = {"automl": __version__, **package_versions()}
    if importlib.util.find_spec("nncf"):
        versions["nncf"] = importlib.metadata.version("nncf")
    return {
        "machine": dict(target.info().machine),
        "versions": versions,
        "commit": git("rev-parse", "HEAD").strip() + ("+" if git("status", "--porcelain", "automl") else ""),
        "settings": {**given, **settings},
    }


def markdown(columns: dict[str, str], rows: list[dict[str, Any]]) -> str:
    """Return rows as a Markdown table; ``columns`` maps a key to its title, with a format after ``|``."""
    titles = [title.partition("|")[0] for title in columns.values()]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for row in rows:
        cells = []
        for key, title in columns.items():
            value = row.get(key)
            form = title.partition("|")[2]
            cells.append("" if value is None else format(value, form) if form else str(value))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
