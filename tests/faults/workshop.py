"""What faults are provoked with: a starter of commands, undisturbed studies, services; each made once."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from archsearch.journal import Record, RunFolder, read_journal
from benchmarks.postgresql import PostgreSQL
from tests.faults.comparing import find_left_behind, find_lost, find_lost_in_mlflow
from tests.services import MlflowServer
from tests.starting import Command, Starter

WITHOUT_MLFLOW = "tracking: {enabled: false}\n"


@dataclass(frozen=True)
class Study:
    """A study in a folder of its own, as text that a fault may change.

    Attributes:
        text: Without `tracking`.
        place: Working directory of its commands.
        name: As the text gives it.
    """

    text: str
    place: Path
    name: str = "faulty"

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.place / "runs" / self.name)

    @property
    def file(self) -> Path:
        return self.place / "study.yaml"

    def records(self, kind: str = "") -> list[Record]:
        """Those of its journal so far, of a kind."""
        if not self.folder.journal.exists():
            return []
        return [record for record in read_journal(self.folder.journal) if kind in ("", record.kind)]


class Workshop:
    """Context manager that holds what faults share."""

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        self.root = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="archsearch-faults-")))
        self.starter = self._stack.enter_context(Starter())
        self._undisturbed: dict[str, RunFolder] = {}
        self._empty_store: Path | None = None
        self._postgresql: PostgreSQL | None = None
        self._server: MlflowServer | None = None
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def empty_store(self) -> Path:
        """A SQLite store of MLflow, whose tables take seconds to make."""
        if self._empty_store is None:
            from mlflow.tracking import MlflowClient

            self._empty_store = self.root / "empty.db"
            MlflowClient(f"sqlite:///{self._empty_store}").search_experiments()
        return self._empty_store

    @property
    def postgresql(self) -> PostgreSQL:
        """A PostgreSQL server that faults may stop and start."""
        if self._postgresql is None:
            self._postgresql = self._stack.enter_context(PostgreSQL())
        return self._postgresql

    @property
    def server(self) -> MlflowServer:
        """MLflow's server on it, which faults may kill and start."""
        if self._server is None:
            self._server = MlflowServer(self.postgresql.create_database("mlflow"), self.root)
            self._stack.callback(self._server.kill)
        return self._server

    def begin(self, place: Path, text: str, *, tracking: str = WITHOUT_MLFLOW) -> Study:
        """Lay a study down in a folder."""
        place.mkdir(parents=True, exist_ok=True)
        study = Study(text, place)
        study.file.write_text(text + tracking)
        return study

    def begin_with_mlflow(self, place: Path, text: str) -> Study:
        """Lay it down with a SQLite store beside it."""
        study = self.begin(place, text, tracking="")
        shutil.copy(self.empty_store, place / "mlflow.db")
        return study

    def run(self, study: Study, *, cores: int = 1) -> Command:
        """Run a study to its end, which must be a good one."""
        command = self.starter.run("run", study.file, cwd=study.place, cores=cores)
        assert command.code == 0, command.said()
        return command

    def finish(self, study: Study, *, cores: int = 1) -> Command:
        """Run a study until all is trained and tested; its report, which takes seconds, is not waited for."""
        command = self.starter.start("run", study.file, cwd=study.place, cores=cores)
        while not study.records("finished"):
            assert command.code is None, command.said()
            time.sleep(0.05)
        command.send(signal.SIGKILL)
        command.wait()
        return command

    def undisturbed(self, text: str, *, cores: int = 1) -> RunFolder:
        """The run folder of a study that nothing befell."""
        if text not in self._undisturbed:
            study = self.begin(self.root / f"undisturbed-{len(self._undisturbed)}", text)
            self.finish(study, cores=cores)
            self._undisturbed[text] = study.folder
        return self._undisturbed[text]

    def find_lost(self, study: Study, uri: str = "", *, cores: int = 1) -> tuple[str, ...]:
        """Say what a study has lost, in its journal, in MLflow where there is a URI, and what it leaves."""
        lost = [
            *find_left_behind(study.folder, study.place),
            *find_lost(study.folder, self.undisturbed(study.text, cores=cores)),
        ]
        if uri:
            lost += find_lost_in_mlflow(study.folder, uri, self.empty_store, study.place)
        return tuple(lost)
