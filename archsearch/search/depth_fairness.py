"""Pruning that is fair to deep networks: they are compared with their like, and have time to start."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

# Within it depths are alike: 14 and 20, or 44 and 56. An epoch of one then costs about what one of the other
# does, so that equal epochs are about equal compute.
_SIMILAR = 1.5

# ResNet-110 needed 400 iterations before it began to learn, ResNet-56 none (He et al. 2015, 1512.03385,
# section 4.2). A quarter of the epochs for such a one, and in proportion less for what is less deep.
_DEPTHS_PER_WHOLE = 440
_LONGEST_GRACE = 0.25


def count_grace_epochs(depth: int, epochs: int) -> int:
    """Count the first epochs in which a network of this depth is not pruned."""
    return math.floor(epochs * min(_LONGEST_GRACE, depth / _DEPTHS_PER_WHOLE))


def is_similar(one: int, other: int) -> bool:
    """Whether networks of two depths may be compared while they are in training."""
    return max(one, other) <= _SIMILAR * min(one, other)


def are_similar(depths: NDArray[np.int64], depth: int) -> NDArray[np.bool_]:
    """Do so for many depths at once."""
    return np.maximum(depths, depth) <= _SIMILAR * np.minimum(depths, depth)


def keep_similar(study: optuna.Study, depths: Mapping[int, int], depth: int) -> optuna.Study:
    """Return a study as a pruner may see it: with the trials of similar depth alone.

    Args:
        study: All trials of a cell.
        depths: By Optuna's id of a trial; those that have no depth have reported nothing.
        depth: Of the trial that may be pruned.
    """
    if all(is_similar(depth, other) for other in depths.values()):
        return study
    # Below the study, for hyperband makes a study of its own from the storage.
    storage: Any = _SimilarTrials(study._storage, depths, depth)
    return optuna.Study(study.study_name, storage, sampler=study.sampler, pruner=study.pruner)


class _SimilarTrials(InMemoryStorage):
    """A storage that lists trials of similar depth alone, and is otherwise the one that it stands before."""

    def __init__(self, storage: BaseStorage, depths: Mapping[int, int], depth: int) -> None:
        self._storage = storage
        self._depths = depths
        self._depth = depth

    def __getattribute__(self, name: str) -> Any:
        if name in ("get_all_trials", "_storage", "_depths", "_depth", "__class__"):
            return object.__getattribute__(self, name)
        return getattr(object.__getattribute__(self, "_storage"), name)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        found: list[FrozenTrial] = self._storage.get_all_trials(study_id, deepcopy, states)
        return [t for t in found if is_similar(self._depth, self._depths.get(t._trial_id, self._depth))]
