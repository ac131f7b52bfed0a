"""Optuna's TPE with the finished trials kept as columns of numbers: the same proposals, several times sooner.

Optuna's own version looks at every trial again for each parameter that it draws: whether it is feasible, what
its value is, what stands under each name. That is over 80 % of its time at 1,000 trials and grows with them.
A finished trial never changes, so here it is read once, and a paused one again each time; what is drawn, and
from which random numbers, is Optuna's, bit by bit. Several objectives are left to Optuna's own version.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe.sampler import default_gamma
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from archsearch.search.paused_trials import PAUSED

_Numbers = NDArray[np.float64]
_SETTLED = (TrialState.COMPLETE, TrialState.PRUNED)
_COMPLETE, _PRUNED, _INFEASIBLE = 0.0, 1.0, 2.0


class FinishedTrials:
    """The complete and pruned trials of one Optuna study; row i is trial number i.

    Attributes:
        ranks: ``[n, 3]``: kind (complete, pruned, infeasible; NaN for those that are none of them), then what
            orders trials of a kind, smaller being better.
        unfinished: Numbers of those that may still change.
    """

    def __init__(self) -> None:
        self.ranks: _Numbers = np.full((0, 3), np.nan)
        self._values: dict[str, _Numbers] = {}
        self._seen = 0
        self.unfinished: list[int] = []

    def update(self, study: Study, trials: list[FrozenTrial]) -> None:
        """Read the trials that have finished since the last call; `trials` are all, by number."""
        self._grow(len(trials))
        unfinished = []
        for number in [*self.unfinished, *range(self._seen, len(trials))]:
            trial = trials[number]
            if trial.state in _SETTLED:
                self._read(study, trial)
            else:
                # one that was read while it was paused may have failed since
                self.ranks[number] = np.nan
            if not trial.state.is_finished() or PAUSED in trial.system_attrs:
                unfinished.append(number)
        self._seen, self.unfinished = len(trials), unfinished

    def values(self, name: str) -> _Numbers:
        """Values of a parameter, in Optuna's internal form; NaN where a trial has none."""
        return self._values.get(name, np.full(len(self.ranks), np.nan))

    def _grow(self, needed: int) -> None:
        more = needed - len(self.ranks)
        if more <= 0:
            return
        # In steps, since to grow by one row copies all of them.
        more = max(more, len(self.ranks) // 4)
        self.ranks = np.vstack([self.ranks, np.full((more, 3), np.nan)])
        for name, column in self._values.items():
            self._values[name] = np.append(column, np.full(more, np.nan))

    def _read(self, study: Study, trial: FrozenTrial) -> None:
        self.ranks[trial.number] = _rank(study, trial)
        for name, value in trial.params.items():
            if name not in self._values:
                self._values[name] = np.full(len(self.ranks), np.nan)
            self._values[name][trial.number] = trial.distributions[name].to_internal_repr(value)


class SharedSpace:
    """The parameters that all complete and pruned trials of one Optuna study have alike.

    What Optuna's `IntersectionSearchSpace` finds. That looks again, at every proposal, at all trials since
    the first one that has not finished, and compares their choices one by one: under a scheduler, whose
    trials wait for long, it took half of the time of a search.
    """

    def __init__(self) -> None:
        self._items: dict[tuple[str, BaseDistribution], tuple[str, BaseDistribution]] = {}
        self._sets: dict[int, frozenset[tuple[str, BaseDistribution]]] = {}
        self._common: frozenset[tuple[str, BaseDistribution]] | None = None
        self._seen = 0
        self._unfinished: list[int] = []

    def calculate(self, study: Study, use_cache: bool = False) -> dict[str, BaseDistribution]:
        """Return them by name; as Optuna calls it."""
        trials = study._get_trials(deepcopy=False, use_cache=use_cache)
        if trials and trials[-1].number != len(trials) - 1:
            # Those of one of hyperband's brackets.
            sets = [self._read(trial) for trial in trials if trial.state in _SETTLED]
            return dict(sorted(frozenset.intersection(*sets), key=_name_of)) if sets else {}
        unfinished, paused = [], []
        for number in [*self._unfinished, *range(self._seen, len(trials))]:
            trial = trials[number]
            if not trial.state.is_finished() or PAUSED in trial.system_attrs:
                unfinished.append(number)
            if trial.state in _SETTLED:
                found = self._read(trial)
                if PAUSED in trial.system_attrs:
                    paused.append(found)
                else:
                    self._common = found if self._common is None else self._common & found
        self._seen, self._unfinished = len(trials), unfinished
        sets = [*paused, *([] if self._common is None else [self._common])]
        return dict(sorted(frozenset.intersection(*sets), key=_name_of)) if sets else {}

    def _read(self, trial: FrozenTrial) -> frozenset[tuple[str, BaseDistribution]]:
        if trial.number not in self._sets:
            # The same objects for what is equal: sets then compare no choices.
            items = (self._items.setdefault(item, item) for item in trial.distributions.items())
            self._sets[trial.number] = frozenset(items)
        return self._sets[trial.number]


def _name_of(item: tuple[str, BaseDistribution]) -> str:
    return item[0]


def _rank(study: Study, trial: FrozenTrial) -> tuple[float, float, float]:
    """Return kind and order of a trial, as `_split_trials` of Optuna 5 has them."""
    sign = 1 if study.direction == StudyDirection.MINIMIZE else -1
    missed = sum(violation for violation in trial.constraints.values() if violation > 0)
    if missed > 0:
        return _INFEASIBLE, missed, 0.0
    if trial.state == TrialState.COMPLETE:
        assert trial.value is not None
        return _COMPLETE, sign * trial.value, 0.0
    if not trial.intermediate_values:
        return _PRUNED, 1.0, 0.0
    # What is not a number comes last, as lexsort has it.
    step, value = max(trial.intermediate_values.items())
    return _PRUNED, -step, sign * value


class ColumnTPESampler(TPESampler):
    """Proposes what `TPESampler` would with the same options and seed.

    Attributes:
        finished: May be handed on to the sampler of the next proposal in the same Optuna study.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.finished = FinishedTrials()
        self._search_space: Any = SharedSpace()

    def _sample(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if study._is_multi_objective():
            return super()._sample(study, trial, search_space)
        # As Optuna's own version asks: under hyperband, `get_trials` gives those of one bracket.
        trials = study._get_trials(deepcopy=False)
        self.finished.update(study, trials)
        below, above = self._split(trials)
        others = [trials[number] for number in self.finished.unfinished if number != trial.number]
        running = [other for other in others if other.state == TrialState.RUNNING]
        estimators = [
            self._parzen_estimator_cls(
                self._observe(study, numbers, liars, search_space),
                search_space,
                self._parzen_estimator_parameters,
            )
            for numbers, liars in ((below, []), (above, running if self._constant_liar else []))
        ]
        samples = estimators[0].sample(self._rng.rng, self._n_ei_candidates)
        chosen = self._compare(samples, self._compute_acquisition_func(samples, *estimators))
        return {name: space.to_external_repr(chosen[name]) for name, space in search_space.items()}

    def _split(self, trials: list[FrozenTrial]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of the good trials, and of the others: complete before pruned before infeasible."""
        ranks = self.finished.ranks[: len(trials)]
        (numbers,) = np.nonzero(~np.isnan(ranks[:, 0]))
        kind, first, second = ranks[numbers].T
        # Stable, as Python's sort is: of equal trials the earlier one is the better.
        order = numbers[np.lexsort((second, first, kind))]
        good = (self._gamma or default_gamma)(len(numbers))
        return np.sort(order[:good]), np.sort(order[good:])

    def _observe(
        self,
        study: Study,
        numbers: NDArray[np.int64],
        liars: list[FrozenTrial],
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, _Numbers]:
        """Values by parameter of the trials that have all of them, in the order of their numbers."""
        table = np.array([self.finished.values(name)[numbers] for name in search_space])
        complete = ~np.isnan(table).any(axis=0)
        table, numbers = table[:, complete], numbers[complete]
        if liars:
            guessed = self._get_internal_repr(liars, search_space, study)
            having = [t.number for t in liars if search_space.keys() <= self._get_params(t, study).keys()]
            table = np.hstack([table, np.array([guessed[name] for name in search_space])])
            table = table[:, np.argsort(np.append(numbers, having), kind="stable")]
        return dict(zip(search_space, table, strict=True))
