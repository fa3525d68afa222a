"""What a run found, as the Python API gives it: models of the front, a table, the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from automl.core.errors import AutomlError
from automl.core.errors import ConfigError
from automl.core.errors import LedgerError
from automl.core.errors import unknown_name

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from automl.artifact.artifact import Artifact
    from automl.core.candidate import Candidate
    from automl.core.measurement import Measurement
    from automl.stages.answer import Answer
    from automl.stages.answer import Member

__all__ = ["EXPORT_FORMATS", "FoundModel", "SearchResult", "report_run"]

EXPORT_FORMATS = ("onnx", "openvino", "torch")


@dataclass(frozen=True)
class FoundModel:
    """A model of the front: its numbers, its artifact, and the model itself.

    Args:
        member: confirmed measurement and artifact.
        folder: the run folder.
    """

    member: Member
    folder: Path

    @property
    def id(self) -> str:
        """Short name; the artifact folder is called the same."""
        return self.member.id

    @property
    def candidate(self) -> Candidate:
        """The options of every site."""
        return self.member.candidate

    @property
    def metrics(self) -> Measurement:
        """Confirmed metrics by name."""
        return self.member.measurement

    @property
    def artifact(self) -> Artifact:
        """The deployable model, verified; ``artifact.predict(batch)`` runs it."""
        from automl.artifact.load import load_artifact

        return load_artifact(self.folder / self.member.artifact)

    @property
    def model(self) -> nn.Module:
        """A torch module that computes what the artifact computes, up to float rounding."""
        from automl.stages.simulate import simulated_module

        return simulated_module(self.folder, self.member.id)

    def export(self, path: Path | str, *, to: str | None = None) -> Path:
        """Write the model for deployment and return the file.

        Args:
            path: the file; its suffix decides the format when ``to`` is not given.
            to: ``onnx``, ``openvino`` or ``torch`` (a ``torch.export`` program).

        Raises:
            ConfigError: unknown format, or the path names no file.
            ArtifactError: the artifact is damaged.
        """
        path = Path(path)
        if not path.name:
            raise ConfigError(f"'{path}' is not a file to write; give a path such as model.onnx")
        guessed = {".onnx": "onnx", ".xml": "openvino", ".pt2": "torch"}.get(path.suffix, "onnx")
        chosen = to or guessed
        if chosen not in EXPORT_FORMATS:
            raise ConfigError(unknown_name("export format", chosen, EXPORT_FORMATS))
        if chosen == "torch":
            from automl.stages.simulate import export_torch

            return export_torch(self.folder, self.member.id, path)
        return self.artifact.export(path, to=chosen)


@dataclass(frozen=True)
class SearchResult:
    """What a run found.

    Args:
        answer: the measured answer.
        folder: the run folder.
    """

    answer: Answer
    folder: Path

    @property
    def front(self) -> list[FoundModel]:
        """Measured Pareto-optimal models that meet the hard budgets, best quality first."""
        return [FoundModel(m, self.folder) for m in self.answer.front]

    @property
    def best(self) -> FoundModel | None:
        """The feasible model of the best quality; None when nothing meets the hard budgets."""
        if self.answer.best is None:
            return None
        return FoundModel(self.answer.member(self.answer.best), self.folder)

    @property
    def nearest(self) -> list[FoundModel]:
        """When nothing meets the hard budgets: the measured front without them."""
        return [FoundModel(m, self.folder) for m in self.answer.nearest]

    def to_frame(self) -> pd.DataFrame:
        """Return one row a model, trial 0 first; columns are metrics and budgets.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            from automl.core.errors import MissingExtraError

            raise MissingExtraError("to_frame needs pandas; run: pip install pandas") from error
        members = (self.answer.trial0, *self.answer.defaults, *(self.answer.front or self.answer.nearest))
        rows = [{"id": m.id, **{k: v.value for k, v in m.measurement.items()}, **m.budgets} for m in members]
        return pd.DataFrame(rows).set_index("id")

    def report(self, path: Path | str) -> Path:
        """Write the HTML report to ``path`` and return it."""
        return report_run(self.folder, Path(path))


def report_run(run: Path, out: Path | None = None) -> Path:
    """Write the HTML report of a run again and return its path.

    Raises:
        LedgerError: the run has no stored report data.
    """
    from automl.stages.report import rewrite_report

    try:
        return rewrite_report(Path(run), out)
    except AutomlError:
        raise
    except OSError as error:
        raise LedgerError(
            f"cannot write the report of {run}: {error.strerror or error}; check the path"
        ) from error
