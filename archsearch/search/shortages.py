"""What shows to be missing when all that was asked for has ended: further seeds, weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from archsearch.journal import RunFolder, StudyHistory
from archsearch.search.keeping import Keeping
from archsearch.search.ledger import Ledger
from archsearch.study import StudyConfig
from archsearch.training.values import Replicate


class Shortages:
    """Looks for what one study lacks.

    Args:
        study: The study.
        ledger: What it has by now.
        keeping: Knows the best of its searches.
        folder: Its run folder.
        undecided: Says of a study that may add seeds which trials need another one, by their numbers.
    """

    def __init__(
        self,
        study: StudyConfig,
        ledger: Ledger,
        keeping: Keeping,
        folder: RunFolder,
        undecided: Callable[[StudyConfig, StudyHistory], Sequence[int]],
    ) -> None:
        self._study = study
        self._ledger = ledger
        self._keeping = keeping
        self._folder = folder
        self._undecided = undecided

    def __bool__(self) -> bool:
        return bool(self.seeds()) or bool(self.weights())

    def seeds(self) -> dict[int, int]:
        """The next seed of each trial that needs one."""
        more, history = self._study.more_seeds, self._ledger.history
        # Each look adds a seed at most, and spends a share of the error rate.
        if not more or history.looks >= len(more):
            return {}
        unused = {
            number: [seed for seed in more if seed not in self._ledger.trials[number].seeds]
            for number in self._undecided(self._study, history)
        }
        return {number: seeds[0] for number, seeds in unused.items() if seeds}

    def weights(self) -> list[Replicate]:
        """The best of a search that no confirmation will stand for, where no weights came with its result."""
        if self._study.confirmation_seeds:
            return []
        return [
            (trial.number, seed)
            for trial in self._keeping.best
            for seed, replicate in trial.replicates.items()
            if replicate.taken_over and not replicate.test
            if not self._folder.weights(trial.number, seed).exists()
        ]
