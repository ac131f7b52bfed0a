"""Optuna's part in one cell: propose, hear of epochs, say whether to go on, learn the outcome.

The Optuna study lives in memory and is rebuilt from the journal. What Optuna keeps beside parameters and
values (generations, rungs, positions in a sequence) travels in a `Memo` that the journal stores.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import optuna
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.trial import FrozenTrial, TrialState

from archsearch.errors import InputError
from archsearch.journal import TrialHistory
from archsearch.search.depth_fairness import count_grace_epochs, keep_similar
from archsearch.search.paused_trials import StorageOfPaused
from archsearch.search.proposals import describe_known, read_params, suggest
from archsearch.search.samplers import build_pruner, build_sampler, derive_seed, hand_on, mark_known
from archsearch.search.warm_start import CellStart
from archsearch.study import Dimension, StudyConfig, combine
from archsearch.study.settings import TrainingSettings

# Optuna's word on each study and trial would stand between our own.
optuna.logging.set_verbosity(optuna.logging.WARNING)

Told = Literal["complete", "pruned", "failed"]
_STATES: Mapping[Told, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


@dataclass(frozen=True)
class Memo:
    """What Optuna must be given back to go on as if never interrupted; holds JSON values only."""

    params: dict[str, Any]
    distributions: dict[str, str]
    trial_attributes: dict[str, Any] = field(default_factory=dict)
    study_attributes: dict[str, Any] = field(default_factory=dict)


class CellSearch:
    """The search of one cell.

    Args:
        study: The study.
        label: The cell's label, part of every seed.
        cell: The cell's swept values by path.
        start: What it begins with of other studies.
    """

    def __init__(
        self, study: StudyConfig, label: str, cell: Mapping[str, Any], start: CellStart | None = None
    ) -> None:
        self._study = study
        self._label = label
        self._known = {**study.base, **cell}
        self._depths: dict[int, int] = {}
        self._epochs = int(self._known.get("training.epochs", TrainingSettings().epochs))
        self._storage = StorageOfPaused()
        self._optuna = optuna.create_study(
            storage=self._storage,
            # Hyperband picks a trial's bracket by this name.
            study_name=f"{study.name}/{label}",
            directions=list(study.objectives.values()),
            pruner=build_pruner(
                study.pruner.name,
                study.pruner.options,
                epochs=self._epochs,
            ),
        )
        self._trials: dict[int, optuna.Trial] = {}
        self._noted: dict[str, Any] = {}
        self._named: dict[bytes, str] = {}
        self._grid_size = (
            _count_combinations(study.search, self._known) if study.sampler.name == "grid" else None
        )
        self._start = start or CellStart()
        for settings, values in self._start.known:
            self._learn(settings, values)

    @property
    def exhausted(self) -> bool:
        """Whether every combination of a grid has been proposed; never so for other samplers."""
        return self._grid_size is not None and len(self._trials) >= self._grid_size

    def ask(self, number: int) -> tuple[dict[str, Any], Memo]:
        """Propose values for the trial of this number (unique over the whole study)."""
        seeds = (self._study.seed, self._study.name, self._label)
        sampler = build_sampler(
            self._study.sampler.name,
            self._study.sampler.options,
            cell_seed=derive_seed(*seeds),
            trial_seed=derive_seed(*seeds, number),
            key=self._name_training,
        )
        hand_on(self._optuna.sampler, sampler)
        self._optuna.sampler = sampler
        if len(self._trials) < len(self._start.first):
            settings = self._start.first[len(self._trials)]
            self._optuna.enqueue_trial(describe_known(self._study.search, self._known, settings)[0])
        trial = self._optuna.ask()
        values = suggest(trial, self._study.search, self._known)
        self._trials[number] = trial
        return values, self._memo(number)

    def _learn(self, settings: Mapping[str, Any], values: Sequence[float]) -> None:
        """Add what is known of settings from elsewhere."""
        params, distributions = describe_known(self._study.search, self._known, settings)
        self._optuna.add_trial(
            optuna.trial.create_trial(
                values=list(values),
                params=params,
                distributions=distributions,
                constraints={"buildable": 0.0},
                system_attrs=mark_known(self._study.sampler.name),
            )
        )

    def _name_training(self, params: Mapping[str, Any]) -> str:
        """Name what values would train, alike for all that build and train the same."""
        name = repr(sorted(params.items()))
        # Digests: a long search looks at a hundred thousand neighbours.
        key = _digest(name)
        if key not in self._named:
            self._named[key] = _digest(self._resolve_name(params) or name).hex()
        return self._named[key]

    def _resolve_name(self, params: Mapping[str, Any]) -> str:
        values = read_params(params, self._study.search, self._known)
        try:
            spec = self._study.resolve({**self._known, **values})
        except InputError:
            return ""
        return repr((spec.architecture.id, spec.training, spec.data))

    def _memo(self, number: int) -> Memo:
        frozen, attributes = self.frozen(number), self._storage.get_study_system_attrs(self._optuna._study_id)
        # Of what an evolution remembers of its generations, all together would be quadratic in the trials.
        news = {key: value for key, value in attributes.items() if self._noted.get(key) != value}
        self._noted |= news
        return Memo(
            params=dict(frozen.params),
            distributions={name: distribution_to_json(d) for name, d in frozen.distributions.items()},
            trial_attributes=dict(frozen.system_attrs),
            study_attributes=news,
        )

    def report(self, number: int, epoch: int, value: float, *, depth: int) -> bool:
        """Hear of an epoch; True asks to prune the trial.

        It is compared with trials of similar depth, never pruned in its first epochs (the more of them the
        deeper it is), and not before one of the cell is complete: no cell is pruned empty. Epochs are told
        from 1, as pruners count resources. Of an epoch that is trained again after a crash, what was heard
        first stands, as it does for the trials that were compared with it.
        """
        trial = self._trials[number]
        if epoch + 1 in self.frozen(number).intermediate_values:
            return False
        self._depths[trial._trial_id] = depth
        trial.report(value, step=epoch + 1)
        peers = keep_similar(self._optuna, self._depths, depth)
        # Asked whatever the answer will be worth: some pruners note at which steps they were.
        asked = self._optuna.pruner.prune(peers, self.frozen(number))
        if not asked or epoch < count_grace_epochs(depth, self._epochs):
            return False
        complete = self._optuna.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return len(complete) > len(self._start.known)

    def pause(self, number: int) -> None:
        """Learn that a trial is paused, and will be so again or told: samplers see it as pruned meanwhile."""
        self._storage.paused.add(self._trials[number]._trial_id)

    def tell(
        self,
        number: int,
        outcome: Told,
        values: Sequence[float] | None = None,
        violations: Mapping[str, float] | None = None,
    ) -> dict[str, Any]:
        """Learn how a trial ended; returns what Optuna now keeps beside it, for the journal.

        Args:
            number: The trial.
            outcome: ``complete`` with `values` (one an objective), ``pruned`` or ``failed`` without.
            values: Values of the objectives, in the study's order.
            violations: Constraint values, at most 0 where the constraint is met.
        """
        trial = self._trials[number]
        for name, violation in (violations or {}).items():
            trial.set_constraint(name, violation)
        attributes = dict(self.frozen(number).system_attrs)
        self._storage.paused.discard(trial._trial_id)
        state = _STATES[outcome]
        self._optuna.tell(
            trial, list(values) if values and state == TrialState.COMPLETE else None, state=state
        )
        return attributes

    def restore(
        self,
        number: int,
        memo: Memo,
        epochs: Sequence[float],
        told: tuple[Told, Sequence[float] | None] | None,
        *,
        depth: int | None,
    ) -> None:
        """Put back a trial from the journal; must be called in the order in which trials were proposed.

        Args:
            number: The trial.
            memo: Its newest memo.
            epochs: The values reported epoch by epoch; leave out those that will be trained again.
            told: Its outcome, or None while it is running.
            depth: Of its network; None where it has none.
        """
        self._noted |= memo.study_attributes
        for key, value in memo.study_attributes.items():
            self._storage.set_study_system_attr(self._optuna._study_id, key, value)
        self._optuna.add_trial(freeze(memo, epochs, told))
        trial_id = self._optuna.get_trials(deepcopy=False)[-1]._trial_id
        self._trials[number] = optuna.Trial(self._optuna, trial_id)
        if depth is not None and epochs:
            self._depths[trial_id] = depth

    def frozen(self, number: int) -> FrozenTrial:
        """The trial as Optuna knows it."""
        return self._storage.get_trial(self._trials[number]._trial_id)


def freeze(
    memo: Memo, epochs: Sequence[float], told: tuple[Told, Sequence[float] | None] | None
) -> FrozenTrial:
    """Return a trial of the journal as Optuna keeps it; see `CellSearch.restore`."""
    state = TrialState.RUNNING if told is None else _STATES[told[0]]
    values = told[1] if told is not None and told[0] == "complete" else None
    if told is not None and told[0] == "pruned" and epochs:
        values = [epochs[-1]]
    return optuna.trial.create_trial(
        state=state,
        values=list(values) if values else None,
        params=memo.params,
        distributions={name: json_to_distribution(text) for name, text in memo.distributions.items()},
        system_attrs=memo.trial_attributes,
        intermediate_values={epoch + 1: value for epoch, value in enumerate(epochs)},
    )


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _count_combinations(dimensions: Sequence[Dimension], known: Mapping[str, Any]) -> int:
    return sum(1 for _ in combine(dimensions, known, Dimension.values))


def told_to_optuna(trial: TrialHistory) -> Told | None:
    """The end that Optuna was told of a trial; None while it is under way."""
    if trial.outcome is None:
        return None
    if trial.objective_values is not None:
        return "complete"
    stopped = any(replicate.outcome == "stopped" for replicate in trial.replicates.values())
    return "pruned" if stopped or trial.outcome == "infeasible" else "failed"
