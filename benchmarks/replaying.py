"""A search replayed on a recorded table: the real conductor, sampler and pruner, and trainings looked up."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archsearch.journal import Journal, Record, RunFolder
from archsearch.search.conductor import Conductor
from archsearch.search.jobs import Workplace
from archsearch.study import StudyConfig, parse_study
from archsearch.study.dimensions import Dimension
from archsearch.training import Compute
from benchmarks.recorded_table import Key, RecordedTable
from benchmarks.replay import ReplayExecutor

# In memory where there is such a folder: thousands of replays would only wait for the disk.
_FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None


@dataclass(frozen=True)
class Method:
    """A way of searching: lines of a study file, by key."""

    name: str
    lines: Mapping[str, str]


@dataclass(frozen=True)
class Trace:
    """What a search had found when.

    Attributes:
        points: Epochs spent, and the true error of the trial that the study would then have answered with;
            one for each time that the answer changed.
        spent_epochs: In all.
        simulated_s: When the last training ended, by the simulated clock.
        trials: Of each outcome.
    """

    points: tuple[tuple[int, float], ...]
    spent_epochs: int
    simulated_s: float
    trials: Mapping[str, int]

    def error_after(self, epochs: float) -> float:
        """The true error of the answer after so many epochs; infinite before there is one."""
        return next((error for spent, error in reversed(self.points) if spent <= epochs), math.inf)

    def epochs_until(self, error: float) -> float:
        """Epochs until the answer was first at least so good; infinite where it never was."""
        return next((spent for spent, found in self.points if found <= error), math.inf)


class Observer:
    """Follows the journal: how much is spent, and what the best trial so far is."""

    def __init__(self, table: RecordedTable) -> None:
        self.spent = 0
        self.points: list[tuple[int, float]] = []
        self.trials: dict[str, int] = {}
        self._table = table
        self._keys: dict[int, Key] = {}
        self._least = math.inf

    def listen(self, record: Record) -> None:
        """Take a record into account."""
        fields = record.fields
        if record.kind == "trial":
            self._keys[fields["trial"]] = fields["architecture_id"], fields["training"]["learning_rate"]
        elif record.kind == "epoch":
            self.spent += 1
        elif record.kind == "told":
            self.trials[fields["outcome"]] = self.trials.get(fields["outcome"], 0) + 1
            if fields["values"] and fields["values"][0] < self._least:
                # By what the search has seen, as a study answers; what it is worth is the table's to say.
                self._least = fields["values"][0]
                error = self._table.true_errors[self._keys[fields["trial"]]]
                self.points.append((self.spent, error))


def replay(
    table: RecordedTable, method: Method, *, seed: int, budget_epochs: int, trials: int, workers: int
) -> Trace:
    """Search the table once.

    Args:
        table: Trainings.
        method: How to search.
        seed: Of the study: of its sampler, and of which recorded training each trial gets.
        budget_epochs: No trial is started once so many are spent.
        trials: At most; a proposal that repeats another costs no epochs.
        workers: Simulated workers.
    """
    study = searching(table.study, method, seed=seed, budget_epochs=budget_epochs, trials=trials)
    executor, observer = ReplayExecutor(workers, table.course), Observer(table)
    with tempfile.TemporaryDirectory(dir=_FOLDER) as temporary:
        folder = RunFolder(Path(temporary))
        with Journal.open(folder.journal) as journal:
            journal.append("study", name=study.name, train_images=1, objectives=dict(study.objectives))
            conductor = Conductor(
                study, journal, Workplace(executor, Compute(), folder), listen=observer.listen
            )
            conductor.take_up()
            conductor.run()
    return Trace(tuple(observer.points), observer.spent, executor.now_s, observer.trials)


def searching(
    swept: StudyConfig, method: Method, *, seed: int, budget_epochs: int, trials: int
) -> StudyConfig:
    """The study that searches what another one sweeps."""
    fixed: dict[str, dict[str, Any]] = {"architecture": {}, "training": {}, "data": {}}
    for path, value in swept.base.items():
        group, _, name = path.partition(".")
        fixed[group][name] = value
    lines = {
        # The same for all methods, since a sampler's seeds come of it: with and without a pruner, the same
        # networks are proposed for as long as nothing that was pruned says otherwise.
        "name": f"{swept.name}-searched",
        "seed": str(seed),
        **{group: _flow(values) for group, values in fixed.items() if values},
        "search": _flow({dimension.path: _choice(dimension) for dimension in swept.sweep}),
        "trials": str(trials),
        "objectives": _flow(dict(swept.objectives)),
        "budget": _flow({"epochs": budget_epochs}),
        "tracking": "{enabled: false}",
        **method.lines,
    }
    text = "".join(f"{key}: {value}\n" for key, value in lines.items())
    return parse_study(text, f"{method.name}.yaml")


def _choice(dimension: Dimension) -> dict[str, Any]:
    when = {path: list(allowed) for path, allowed in dimension.when.items()}
    return {"choice": list(dimension.choices), **({"when": when} if when else {})}


def _flow(value: Any) -> str:
    """Write a value in YAML's flow style; JSON would write some numbers in a way that YAML reads as text."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)
