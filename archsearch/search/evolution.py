"""Regularised evolution and local search, through Optuna's sampler interface.

Both change one gene of a network that did well. What they propose follows from the trials and a seed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from random import Random
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from archsearch.search.neighbours import Key, Params, list_neighbours


class _NeighbourSampler(BaseSampler):
    """Proposes what lies next to an earlier trial; what that one does not hold is drawn at random.

    Args:
        key: Tells trainings apart.
        seed: Of this sampler.
    """

    def __init__(self, *, key: Key, seed: int) -> None:
        self._key = key
        self._random = Random(seed)
        self._independent = RandomSampler(seed=seed)
        self._chosen: tuple[FrozenTrial, Params] | None = None

    def infer_relative_search_space(
        self,
        study: optuna.Study,
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """Return the dimensions of the trial that is changed; none where values are drawn at random."""
        ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        finished = [other for other in ended if other.value is not None]
        known = {self._key(other.params) for other in study.get_trials(deepcopy=False) if other.params}
        self._chosen = self._choose(finished, known, study.direction)
        return dict(self._chosen[0].distributions) if self._chosen else {}

    def sample_relative(self, *_: Any, **__: Any) -> dict[str, Any]:
        """Return the changed values."""
        return dict(self._chosen[1]) if self._chosen else {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw a value at random."""
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    @abstractmethod
    def _choose(
        self, finished: Sequence[FrozenTrial], known: set[str], direction: StudyDirection
    ) -> tuple[FrozenTrial, Params] | None:
        """Choose a trial and a neighbour of it; None asks for values at random."""

    def _change_best(
        self, trials: Sequence[FrozenTrial], known: set[str], direction: StudyDirection
    ) -> tuple[FrozenTrial, Params] | None:
        """Change the best of some trials that has a neighbour which is not known."""
        for trial in sorted(trials, key=lambda one: _place(one, direction)):
            neighbours = list_neighbours(trial.params, trial.distributions, self._key)
            if new := [one for one in neighbours if self._key(one) not in known]:
                return trial, self._random.choice(new)
        return None


class EvolutionSampler(_NeighbourSampler):
    """Regularised evolution (Real et al. 2019, 1802.01548, algorithm 1): the oldest die, not the worst.

    Args:
        key: Tells trainings apart.
        seed: Of this sampler.
        population_size: Trials that live, the newest that have ended or are paused.
        sample_size: Of them that compete to be the parent.

    Departure: the paper's mutation may come to what was trained before; here the best of the sample is taken
    that has an untrained neighbour, and that neighbour, for a repeated training tells nothing.
    """

    def __init__(self, *, key: Key, seed: int, population_size: int = 20, sample_size: int = 5) -> None:
        super().__init__(key=key, seed=seed)
        self._population_size = population_size
        self._sample_size = sample_size

    def _choose(
        self, finished: Sequence[FrozenTrial], known: set[str], direction: StudyDirection
    ) -> tuple[FrozenTrial, Params] | None:
        if len(finished) < self._population_size:
            return None
        living = list(finished[-self._population_size :])
        rivals = self._random.sample(living, min(self._sample_size, len(living)))
        return self._change_best(rivals, known, direction)


class LocalSearchSampler(_NeighbourSampler):
    """Local search (White et al. 2021, 2005.02960): move to the first neighbour that is better.

    The best trial so far is where the search stands; when all that lies next to it was tried, the next best
    trial with an untried neighbour is taken, which is the paper's restart from what is already known.

    Args:
        key: Tells trainings apart.
        seed: Of this sampler.
        n_startup_trials: Trials that have ended or are paused, drawn at random before.
    """

    def __init__(self, *, key: Key, seed: int, n_startup_trials: int = 10) -> None:
        super().__init__(key=key, seed=seed)
        self._startup = n_startup_trials

    def _choose(
        self, finished: Sequence[FrozenTrial], known: set[str], direction: StudyDirection
    ) -> tuple[FrozenTrial, Params] | None:
        if len(finished) < self._startup:
            return None
        return self._change_best(finished, known, direction)


def _place(trial: FrozenTrial, direction: StudyDirection) -> tuple[int, int, float]:
    """Smaller is better: complete before pruned or paused, later pruned before sooner, then by value."""
    assert trial.value is not None
    loss = -trial.value if direction == StudyDirection.MAXIMIZE else trial.value
    if trial.state == TrialState.COMPLETE:
        return 0, 0, loss
    return 1, -max(trial.intermediate_values), loss
