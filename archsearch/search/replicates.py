"""Each distinct training once: which replicates train, which wait for an equal one, which are known."""

from __future__ import annotations

import json
from collections import defaultdict, deque

from archsearch.journal import TrialHistory
from archsearch.training.values import Replicate


class ReplicateQueue:
    """The replicates that are still to be trained, first come first served."""

    def __init__(self) -> None:
        self._queue: deque[Replicate] = deque()
        self._alone: set[Replicate] = set()
        self._pack_of: dict[Replicate, Replicate] = {}
        self._trained: dict[str, Replicate] = {}
        self._under_way: dict[str, Replicate] = {}
        self._waiting: dict[str, list[Replicate]] = defaultdict(list)

    def __len__(self) -> int:
        return len(self._queue)

    def request(self, trial: TrialHistory, seed: int) -> Replicate | None:
        """Ask for a replicate.

        Returns:
            The replicate that has already been trained under the same seed with the same network, data and
            settings, or None when this one is queued or waits for an equal one.
        """
        key = _training_key(trial, seed)
        known = self._trained.get(key)
        if known is not None:
            return known
        if key in self._under_way:
            self._waiting[key].append((trial.number, seed))
        else:
            self._under_way[key] = (trial.number, seed)
            self._queue.append((trial.number, seed))
            earlier = trial.replicates.get(seed)
            if earlier is not None and earlier.packed:
                # it was under way when the last conductor died, together with these
                self._pack_of[trial.number, seed] = (trial.number, earlier.packed[0])
        return None

    def hold(self, trial: TrialHistory, seed: int) -> None:
        """Note that a replicate is paused: equal ones wait for it, though it is not queued."""
        self._under_way[_training_key(trial, seed)] = (trial.number, seed)

    @property
    def next(self) -> Replicate:
        """The next one to be trained; only where there is one."""
        return self._queue[0]

    @property
    def next_pack(self) -> Replicate | None:
        """The first of those that the next one was packed with when it was lost; None where it was not."""
        return self._pack_of.get(self._queue[0]) if self._queue else None

    def count_lost(self) -> int:
        """How many are queued of those that the next one was lost with; 0 where it was not lost."""
        pack = self.next_pack
        return sum(self._pack_of.get(one) == pack for one in self._queue) if pack is not None else 0

    def take(self, limit: int = 1) -> list[Replicate]:
        """Take the next one to be trained, and with it up to `limit` - 1 others of its trial.

        What was lost together is taken together, however many they are: only so it comes to the same bits.
        """
        first = self._queue.popleft()
        pack, taken = self._pack_of.get(first), [first]
        if pack is not None:
            taken += [other for other in self._queue if self._pack_of.get(other) == pack]
        elif first not in self._alone:
            free = (other for other in self._queue if other not in self._alone and other not in self._pack_of)
            taken += [other for other in free if other[0] == first[0]][: limit - 1]
        for other in taken[1:]:
            self._queue.remove(other)
        for other in taken:
            self._pack_of.pop(other, None)
        return sorted(taken) if pack is not None else taken

    def put_back(self, trial: int, seed: int, *, pack: Replicate | None = None) -> None:
        """Queue a replicate again whose worker was lost, before all others.

        Args:
            trial: Its trial.
            seed: Its seed.
            pack: The first of those that it was lost with, to be trained with them again; else for itself:
                what it was trained with, or the memory that all of them took, may have been to blame.
        """
        if pack is None:
            self._alone.add((trial, seed))
        else:
            self._pack_of[trial, seed] = pack
        self._queue.appendleft((trial, seed))

    def forget(self, trial: TrialHistory, seed: int) -> None:
        """Forget that such a replicate was trained; the next request trains it again."""
        self._trained.pop(_training_key(trial, seed), None)

    def end(self, trial: TrialHistory, seed: int) -> list[Replicate]:
        """Note that a replicate has ended; returns those that waited for it and now take its result."""
        key = _training_key(trial, seed)
        self._under_way.pop(key, None)
        self._trained.setdefault(key, (trial.number, seed))
        return self._waiting.pop(key, [])


def _training_key(trial: TrialHistory, seed: int) -> str:
    parts = [trial.architecture_id, dict(trial.training), dict(trial.data), seed]
    return json.dumps(parts, sort_keys=True)
