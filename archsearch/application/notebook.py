"""A study in Python, for notebooks and scripts: what the commands do, with values in place of tables.

Importing it is cheap: torch is imported by the first call that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from archsearch.application.html import write_fields
from archsearch.journal import Record, RunFolder
from archsearch.study import StudyConfig, load_study, parse_study
from archsearch.study.summary import list_settings, read_question

if TYPE_CHECKING:
    import pandas as pd

    from archsearch.analysis.frames import Frames
    from archsearch.application.planning import Plan
    from archsearch.application.reporting import Report
    from archsearch.application.running import Outcome


class Study:
    """One question, to be planned, run and read.

    ::

        study = archsearch.Study.from_yaml("search_spaces/degradation.yaml")
        study.plan()
        study.run()
        study.results().groupby(["block", "depth"])["val_error"].mean()

    Args:
        config: The study, validated.
        runs_folder: Folder of all run folders.
    """

    def __init__(self, config: StudyConfig, *, runs_folder: str | Path = "runs") -> None:
        self.config = config
        self._runs_folder = Path(runs_folder)

    @classmethod
    def from_yaml(cls, path_or_text: str | Path, *, runs_folder: str | Path = "runs") -> Self:
        """Read and validate a study.

        Args:
            path_or_text: A YAML file, or YAML itself, which is told by its line breaks or braces.
            runs_folder: Folder of all run folders.

        Raises:
            StudyError: It cannot be read, or is not a study that can be run.
        """
        is_text = isinstance(path_or_text, str) and ("\n" in path_or_text or path_or_text.startswith("{"))
        config = parse_study(str(path_or_text), "study") if is_text else load_study(path_or_text)
        return cls(config, runs_folder=runs_folder)

    @property
    def folder(self) -> RunFolder:
        """The run folder, whether or not it exists."""
        return RunFolder.of(self.config.name, self._runs_folder)

    @property
    def frames(self) -> Frames:
        """All that was found so far, as pandas frames; read anew each time.

        Raises:
            RunFolderError: The study was not run.
        """
        from archsearch.analysis.frames import Frames

        return Frames(self.folder.history())

    def plan(self) -> Plan:
        """Look at what would be trained and what that would cost, training nothing; see `plan_study`."""
        from archsearch.application.planning import plan_study

        return plan_study(self.config)

    def run(self, *, say: Callable[[str], None] = print) -> Outcome:
        """Train what is missing, and write the journal, MLflow and the report; see `run_study`.

        A study that was interrupted goes on where it stopped; one that is finished trains nothing.

        Args:
            say: Called with a sentence for each trial that ends, and with what else a person should know.
        """
        from archsearch.application.reporting import write_report
        from archsearch.application.running import run_study

        teller = _Teller(say)
        return run_study(
            self.config,
            runs_folder=self._runs_folder,
            recall=teller.recall,
            listen=teller.hear,
            say=say,
            conclude=write_report,
        )

    def results(self) -> pd.DataFrame:
        """A row a trial: its place, its network and what that costs, its outcome, means over its seeds.

        Raises:
            RunFolderError: The study was not run.
        """
        return self.frames.trials

    def report(self) -> Report:
        """Say what the depth curves show, and write the page, pictures and table of that.

        Raises:
            RunFolderError: The study was not run, or none of its trials has ended.
        """
        from archsearch.application.reporting import report_study

        return report_study(str(self.folder.path), runs_folder=self._runs_folder)

    def __repr__(self) -> str:
        return f"Study({self.config.name}: {len(self.config.cells())} cells, run folder {self.folder.path})"

    def _repr_html_(self) -> str:
        """The study as a notebook shows it."""
        fields = {"run folder": str(self.folder.path), **list_settings(self.config.public_text)}
        return write_fields(self.config.name, read_question(self.config.public_text), fields)


class _Teller:
    """Says how trials end."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._names: dict[int, str] = {}

    def recall(self, records: Sequence[Record]) -> None:
        """Learn the names of trials that the journal holds."""
        for record in records:
            if record.kind == "trial":
                self._names[record.fields["trial"]] = record.fields["name"]

    def hear(self, record: Record) -> None:
        """Take a new record into account."""
        fields = record.fields
        self.recall([record])
        if record.kind == "told":
            error = fields["metrics"].get("val_error")
            reached = f", validation error {error:.2%}" if error is not None else ""
            reason = f" ({fields['reason']})" if fields.get("reason") else ""
            number, outcome = fields["trial"], fields["outcome"]
            self._say(f"trial {number} {self._names[number]}: {outcome}{reached}{reason}")
