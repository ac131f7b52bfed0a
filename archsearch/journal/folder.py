"""What stands where in the run folder of a study."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from archsearch.errors import RunFolderError
from archsearch.journal.history import ReplicateHistory, StudyHistory, TrialHistory
from archsearch.journal.reading import JOURNAL_NAME, read_journal
from archsearch.journal.replaying import replay
from archsearch.journal.writing import find_disk_error, unwritable
from archsearch.study import load_study

CONCLUSION_NAME = "conclusion.md"
"""File of the report that says in Markdown what a study shows: a few lines, and its pictures."""

STUDY_FILES = (".yaml", ".yml")
"""How a study's file ends: what tells it from a name."""


@dataclass(frozen=True)
class RunFolder:
    """The folder of one study below the folder of all runs.

    Attributes:
        path: ``runs/<study>``.
    """

    path: Path

    @classmethod
    def of(cls, study_name: str, runs_folder: str | Path) -> RunFolder:
        """The folder of the study of this name, whether or not it exists."""
        return cls(Path(runs_folder) / study_name)

    @classmethod
    def find(cls, study: str, runs_folder: str | Path) -> RunFolder:
        """The folder of a study that was run, given its name, its folder or its YAML file.

        Raises:
            RunFolderError: No study of that name was run there.
            StudyError: It is a YAML file that is no study.
        """
        path = Path(study)
        name = load_study(path).name if path.suffix in STUDY_FILES and path.is_file() else study
        candidates = [path, Path(runs_folder) / name]
        found = next((folder for folder in candidates if (folder / JOURNAL_NAME).is_file()), None)
        if found is None:
            known = cls.names(runs_folder)
            fix = (
                f"Studies in {runs_folder}: {', '.join(known)}."
                if known
                else "Run it first, or give --runs-dir."
            )
            raise RunFolderError("must be the name of a study that was run", path="STUDY", got=study, fix=fix)
        return cls(found)

    @staticmethod
    def names(runs_folder: str | Path) -> list[str]:
        """Names of the run folders below a folder."""
        return sorted(journal.parent.name for journal in Path(runs_folder).glob(f"*/{JOURNAL_NAME}"))

    @property
    def journal(self) -> Path:
        """The append-only record."""
        return self.path / JOURNAL_NAME

    @property
    def study(self) -> Path:
        """The study as it was last run."""
        return self.path / "study.yaml"

    @property
    def report(self) -> Path:
        """Folder of pictures and tables."""
        return self.path / "report"

    def save_study(self, text: str) -> None:
        """Save the study as it is run now; the file is there in full or as it was.

        Raises:
            RunFolderError: The disk is full or read-only.
        """
        part = self.study.with_name(f"{self.study.name}.{os.getpid()}.part")
        try:
            if not self.study.is_file() or self.study.read_text(encoding="utf-8") != text:
                part.write_text(text, encoding="utf-8")
                part.replace(self.study)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise unwritable(self.path, error) from error

    def check_failure(self, reason: str) -> None:
        """Let a study stop where a training failed for the disk's sake: it is to be trained again.

        Args:
            reason: Why it failed; empty where it did not.

        Raises:
            RunFolderError: The disk of its weights was full or read-only.
        """
        if error := find_disk_error(reason):
            raise unwritable(self.path, error)

    def weights(self, trial: int, seed: int) -> Path:
        """The trained weights of one replicate."""
        return self.path / "weights" / f"trial-{trial:04d}-seed-{seed}.safetensors"

    def weights_of(self, trial: TrialHistory, replicate: ReplicateHistory) -> Path:
        """Where the weights of a replicate stand, if they were kept: of a repeated one, the other's."""
        source = trial.number if replicate.repeated_of is None else replicate.repeated_of
        return self.weights(source, replicate.seed)

    def checkpoint(self, trial: int, seed: int) -> Path:
        """The state of a replicate that is under way."""
        return self.path / "checkpoints" / f"trial-{trial:04d}-seed-{seed}.safetensors"

    def history(self) -> StudyHistory:
        """What the journal says.

        Raises:
            RunFolderError: There is no journal.
            JournalError: It is damaged.
        """
        return replay(read_journal(self.journal))
