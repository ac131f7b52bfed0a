"""Studies that were really run, once for all tests."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from archsearch.application import reporting
from archsearch.journal import RunFolder, StudyHistory
from tests.command_line import Answer, call

# One of each outcome: of the six networks dense-13 is too large, learning rate 1e30 ends in NaN, and the
# pruner stops whatever is behind the best. A fixed precision makes every run of it the same.
SEARCH = """
name: searched
data: {name: digits, train_limit: 256}
architecture: {width: 4}
search:
  block: [plain, residual, dense]
  depth: [8, 14]
  training.learning_rate: [0.1, 1.0e+30]
trials: 12
seeds: 2
sampler: grid
pruner: {name: percentile, percentile: 0.0, n_startup_trials: 1}
constraints: {parameters: {max: 12_000}}
training: {epochs: 2, batch_size: 64, precision: '32'}
execution: {executor: inline, keep: all}
"""

SWEEP = """
name: swept
data: {name: digits, train_limit: 256}
architecture: {width: 4}
sweep: {block: [plain, dense], depth: [8, 14]}
include: [resnet20]
seeds: 2
objectives: {val_error: minimize}
training: {epochs: 1, batch_size: 64}
execution: {executor: local, workers: 2}
"""


@dataclass(frozen=True)
class RunStudy:
    """A study that was run with ``run STUDY --json``."""

    folder: Path
    name: str
    answer: Answer

    @property
    def run_folder(self) -> RunFolder:
        return RunFolder(self.folder / "runs" / self.name)

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    @property
    def uid(self) -> str:
        return self.history().header["uid"]

    def call(self, *arguments: object) -> Answer:
        return call(*arguments, cwd=self.folder)

    def history(self) -> StudyHistory:
        return self.run_folder.history()


def run_study_in(folder: Path, text: str) -> RunStudy:
    name = text.split()[1]
    (folder / f"{name}.yaml").write_text(text)
    return RunStudy(folder, name, call("run", f"{name}.yaml", "--json", cwd=folder))


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> RunStudy:
    """A search in this process, and its confirmation."""
    return run_study_in(tmp_path_factory.mktemp("searched"), SEARCH)


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> RunStudy:
    """A sweep in worker processes, into a store that is there already."""
    folder = tmp_path_factory.mktemp("swept")
    shutil.copy(empty_store, folder / "mlflow.db")
    return run_study_in(folder, SWEEP)


@pytest.fixture
def unreported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies end without their report, whose pictures take seconds: for tests that do not look at it."""
    monkeypatch.setattr(reporting, "write_report", lambda *_: None)


@pytest.fixture
def own_signals() -> Iterator[None]:
    """Puts back what `archsearch ui` does with SIGTERM in this process."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)
