"""Studies that a real conductor has run, whose trainings were looked up instead of trained."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

from archsearch.journal import Journal, Record, RunFolder
from archsearch.search.conductor import Conductor
from archsearch.search.jobs import Workplace
from archsearch.study import parse_study
from archsearch.training import Compute, Job
from tests.search.conftest import TableExecutor

SWEPT = """\
# yaml-language-server: $schema=study.schema.json
#
# Do plain networks get worse when they get deeper,
# and residual ones not?
#
#   archsearch run depth.yaml
name: depth
data: digits
architecture: {width: 4}
sweep: {block: [plain, residual], depth: [8, 14, 20]}
seeds: 3
training: {epochs: 4}
"""

SEARCHED = """\
name: rates
data: digits
architecture: {depth: 8}
search: {width: [4, 6, 8], training.learning_rate: {low: 0.01, high: 0.5, log: true}}
trials: 5
objectives: {val_error: minimize}
sampler: random
training: {epochs: 4}
"""


class KilledError(Exception):
    """The conductor dies."""


def learn(job: Job) -> list[float]:
    """Accuracies that fall with depth, those of plain networks fast, and a little with the seed."""
    plain = job.architecture.block == "plain"
    lost = job.architecture.depth / (50 if plain else 1000)
    final = 0.95 - lost - job.seed % 7 / 1000
    return [final * (epoch + 1) / job.training.epochs for epoch in range(job.training.epochs)]


def run(text: str, runs: Path, *, until: int | None = None, said: str = "") -> RunFolder:
    """Run a study to its end, or until so many records stand in its journal, as if it were killed then.

    Its journal holds another text where one is `said`.
    """
    study = parse_study(text, "study.yaml")
    folder = RunFolder(runs / study.name)
    folder.path.mkdir(parents=True)
    folder.save_study(said or text)
    # Each record a second after the last, the last of them about now.
    clock = itertools.count(time.time() - (until or 200)).__next__
    with Journal.open(folder.journal, clock=clock) as journal:
        described = {"text": said or text, "source": "study.yaml"}
        journal.append(
            "study",
            name=study.name,
            uid="0",
            train_images=1000,
            val_images=1000,
            classes=10,
            objectives=dict(study.objectives),
            identity=study.identity(),
            **described,
        )
        cells = [dict(cell.values) for cell in study.cells()]
        journal.append("question", cells=cells, smallest_difference=0.01, **described)

        def listen(record: Record) -> None:
            if record.number == until:
                raise KilledError

        workplace = Workplace(TableExecutor(curve=learn), Compute(), folder)
        conductor = Conductor(study, journal, workplace, listen=listen)
        try:
            conductor.take_up()
            conductor.record("session", slots=1, host="workshop", executor="inline", archsearch="0.1.0")
            conductor.record("finished", reason=conductor.run())
        except KilledError:
            pass
    return folder
