"""The trials that a scheduler has paused: who of them goes on, as the journal's histories have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from archsearch.journal import ReplicateHistory, TrialHistory
from archsearch.search.promotion import Contender, Promotion, Scheduler, build_scheduler
from archsearch.search.settling import UNDER_WAY
from archsearch.study import Cell, StudyConfig, label_values
from archsearch.study.settings import TrainingSettings
from archsearch.training.values import Result

Question = Callable[[Cell], bool]


class Pausing:
    """Schedules the searches of all cells; without a scheduler no trial is ever paused.

    Args:
        study: The study.
        trials: All trials by number, as they are by now.
    """

    def __init__(self, study: StudyConfig, trials: Mapping[int, TrialHistory]) -> None:
        self._study = study
        self._trials = trials
        self._objective, direction = next(iter(study.objectives.items()))
        self._sign = -1 if direction == "maximize" else 1
        self._schedulers: dict[str, Scheduler] = {}
        self._searched: dict[str, dict[int, None]] = {}
        self._known: dict[int, tuple[ReplicateHistory, Contender]] = {}

    @property
    def is_on(self) -> bool:
        """Whether the study has a scheduler."""
        return self._study.scheduler.name != "none"

    def note(self, trial: TrialHistory) -> None:
        """Take a trial into account that was made."""
        if self.is_on and trial.phase == "search":
            self._searched.setdefault(label_values(trial.cell), {})[trial.number] = None

    def pause_after(self, trial: TrialHistory, seed: int) -> int | None:
        """Epochs after which a training pauses, unless it is promoted now; None where it never does."""
        if not self.is_on or trial.phase != "search":
            return None
        begun = trial.replicates.get(seed)
        if begun is not None and begun.until is not None:
            return begun.until
        return self._of(trial.cell).first_pause(trial.architecture["depth"])

    @property
    def waits(self) -> bool:
        """Whether any trial is paused."""
        numbers = (number for numbers in self._searched.values() for number in numbers)
        replicates = (self._trials[number].replicates.get(self._study.search_seed) for number in numbers)
        return any(replicate is not None and replicate.outcome == "paused" for replicate in replicates)

    def promote(self, is_open: Question, is_closed: Question) -> Promotion | None:
        """Choose the paused trial that goes on now.

        Args:
            is_open: Whether trials are still to be made in a cell.
            is_closed: Whether there is no budget left for the search of a cell.
        """
        for cell in self._study.cells():
            contenders = list(self._contenders(cell))
            if any(contender.state == "paused" for contender in contenders):
                scheduler = self._of(cell.values)
                if is_closed(cell):
                    found = scheduler.finish(contenders)
                else:
                    found = scheduler.promote(contenders, more=is_open(cell))
                if found is not None:
                    return found
        return None

    def retire(self, is_open: Question, is_closed: Question) -> list[Result]:
        """End the paused trials of cells whose search is over, for when nobody is promoted."""
        found = []
        for cell in self._study.cells():
            contenders = list(self._contenders(cell))
            over = not is_open(cell) or is_closed(cell)
            if over and not any(contender.state == "running" for contender in contenders):
                found += [self._give_up(one.number) for one in contenders if one.state == "paused"]
        return found

    def _give_up(self, number: int) -> Result:
        seed = self._study.search_seed
        paused = self._trials[number].replicates[seed]
        metrics = dict(paused.metrics)
        return Result(number, seed, "stopped", "not promoted", len(paused.epochs), metrics, paused.note)

    def _contenders(self, cell: Cell) -> Iterator[Contender]:
        for number in self._searched.get(cell.label, ()):
            trial = self._trials[number]
            replicate = trial.replicates.get(self._study.search_seed)
            # infeasible, or the same as another trial, or waiting for one that it is the same as
            if replicate is None or replicate.repeated_of is not None or replicate.outcome == "failed":
                continue
            known = self._known.get(number)
            # histories are never changed, but replaced
            if known is None or known[0] is not replicate:
                known = self._known[number] = replicate, self._see(trial, replicate)
            yield known[1]

    def _see(self, trial: TrialHistory, replicate: ReplicateHistory) -> Contender:
        return Contender(
            trial.number,
            trial.architecture["depth"],
            [self._sign * metrics[self._objective] for metrics in replicate.epochs],
            trial.training["epochs"] if replicate.until is None else replicate.until,
            _state_of(replicate.outcome),
        )

    def _of(self, cell: Mapping[str, Any]) -> Scheduler:
        label = label_values(cell)
        if label not in self._schedulers:
            known = {**self._study.base, **cell}
            epochs = int(known.get("training.epochs", TrainingSettings().epochs))
            choice = self._study.scheduler
            self._schedulers[label] = build_scheduler(choice.name, choice.options, epochs=epochs)
        return self._schedulers[label]


def _state_of(outcome: str | None) -> Any:
    if outcome == "paused":
        return "paused"
    return "running" if outcome in UNDER_WAY else "ended"


# What has the same rate in the first epochs of a training, however long it is planned.
_STEADY = ("constant", "multi_step", "wsd")


def warn_of_schedule(study: StudyConfig) -> str:
    """Say that networks are compared at rungs in the middle of a schedule that began low; empty where not."""
    if study.scheduler.name == "none":
        return ""
    path = "training.schedule"
    asked = [dimension for dimension in (*study.sweep, *study.search) if dimension.path == path]
    fixed = study.base.get(path, TrainingSettings().schedule)
    schedules = [str(value) for dimension in asked for value in dimension.choices] or [str(fixed)]
    moving = [name for name in dict.fromkeys(schedules) if name not in _STEADY]
    if not moving:
        return ""
    return (
        f"Scheduler {study.scheduler.name}: a paused training goes on exactly as it would have without its "
        f"pause, under any schedule. But {' and '.join(moving)} moves the rate from the first epoch to the "
        f"last, so at a rung networks are compared before it has come down, and rank less well; "
        f"{', '.join(_STEADY)} keep it until late."
    )
