"""The trainings that run, epoch by epoch, and what their course says of the speed of this machine."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from archsearch.application.progress.speed import Speed
from archsearch.application.progress.workload import Work
from archsearch.journal import Record


@dataclass(frozen=True)
class Row:
    """One training that runs, of one replicate or of several packed into one network.

    Attributes:
        trial: Number of the trial.
        seeds: Of the replicates.
        epoch: Epochs that are done; of several replicates the mean.
        epochs: Of how many, before it ends or is paused.
        accuracy: On the validation images after the latest epoch, mean of the replicates; None before one.
        frac: Share of the epochs that is done, the present one by the time that it usually takes.
    """

    trial: int
    seeds: tuple[int, ...]
    epoch: int
    epochs: int
    accuracy: float | None
    frac: float


@dataclass
class _Replicate:
    """How far a replicate is: epochs done, and when the latest was."""

    reported: float
    epochs: int = 0
    accuracy: float | None = None


@dataclass
class Group:
    """Replicates in training together.

    Attributes:
        work: Of one of them, alone.
        images: Training images, 0 where unknown.
        warm: Whether a worker had trained something before.
        size: How many there were at first.
        together: How many have trained together in the latest epoch.
        until: Epochs after which they end or are paused.
    """

    trial: int
    work: Work
    images: float
    started: float
    warm: bool
    size: int
    together: int
    until: float
    replicates: dict[int, _Replicate] = field(default_factory=dict)

    @property
    def share(self) -> Work:
        """The work of one of them, as they are trained now."""
        return self.work.packed(self.together)


class Trainings:
    """Follows the trainings of one session.

    Args:
        speed: Is told how long they take.
        slots: Trainings at a time.
    """

    def __init__(self, speed: Speed, slots: int) -> None:
        self._speed = speed
        self._slots = slots
        self._begun = 0
        self._groups: dict[tuple[int, int], Group] = {}

    def __contains__(self, replicate: object) -> bool:
        return replicate in self._groups

    def __len__(self) -> int:
        """How many there are, a pack being one."""
        return len(self.groups)

    @property
    def groups(self) -> list[Group]:
        """Each group once, in the order of their trials."""
        found = {id(group): group for group in self._groups.values()}
        return sorted(found.values(), key=lambda group: (group.trial, min(group.replicates)))

    def start(self, record: Record, work: Work, images: float) -> None:
        """Take a ``started`` record into account."""
        trial, seed = record.fields["trial"], record.fields["seed"]
        packed: Sequence[int] = record.fields.get("packed", (seed,))
        group = self._groups.get((trial, packed[0]))
        if seed == packed[0] or group is None:
            # one that goes on from a checkpoint says nothing of how long a whole training takes
            warm = self._begun >= self._slots and record.fields.get("attempt", 1) == 1
            self._begun += 1
            size, until = len(packed), record.fields.get("until") or work.epochs
            group = Group(trial, work, images, record.time, warm, size=size, together=size, until=until)
        group.replicates[seed] = _Replicate(record.time)
        self._groups[trial, seed] = group

    def report(self, record: Record) -> None:
        """Take an ``epoch`` record into account."""
        seed, epoch, metrics = record.fields["seed"], record.fields["epoch"], record.fields["metrics"]
        group = self._groups.get((record.fields["trial"], seed))
        if group is None:
            return
        replicate = group.replicates[seed]
        # What could not be packed is trained one by one: the others stay behind, or have ended.
        group.together = sum(other.epochs in (epoch, epoch + 1) for other in group.replicates.values()) or 1
        # one that goes on from a checkpoint begins with a later one
        if epoch > 0 and replicate.epochs:
            self._speed.add_epoch(group.share, (record.time - replicate.reported) / group.together)
        elif (images_per_s := metrics.get("images_per_s", 0.0)) > 0 and group.images:
            # Before a first epoch a network is built, and a worker comes up, which takes seconds.
            self._speed.add_epoch(group.share, group.images / images_per_s)
        else:
            self._speed.add_start(group.share, (record.time - group.started) / group.together)
        replicate.epochs, replicate.reported = epoch + 1, record.time
        replicate.accuracy = metrics.get("val_accuracy")

    def end(self, record: Record) -> Work | None:
        """Take a ``replicate`` record into account; returns its share of the work, if it ran."""
        seed = record.fields["seed"]
        group = self._groups.pop((record.fields["trial"], seed), None)
        if group is None:
            return None
        replicate = group.replicates.pop(seed)
        whole = group.together == group.size
        if group.warm and whole and not group.replicates and record.fields["outcome"] == "complete":
            epoch_s = self._speed.epoch_s(group.share) * group.size
            self._speed.add_overhead(record.time - group.started - replicate.epochs * epoch_s)
        return group.share

    def rows(self, now: float) -> list[Row]:
        """The trainings that run, for people."""
        rows = []
        for group in self.groups:
            replicates = group.replicates.values()
            epochs = statistics.fmean(replicate.epochs for replicate in replicates)
            known = [replicate.accuracy for replicate in replicates if replicate.accuracy is not None]
            done = epochs + self._present_frac(group, now)
            rows.append(
                Row(
                    trial=group.trial,
                    seeds=tuple(sorted(group.replicates)),
                    epoch=int(epochs),
                    epochs=int(group.until),
                    accuracy=statistics.fmean(known) if known else None,
                    frac=min(1.0, done / group.until) if group.until else 0.0,
                )
            )
        return rows

    def seconds_left(self, now: float) -> list[float]:
        """Seconds that each of the trainings will still take."""
        found = []
        for group in self.groups:
            left = self.epochs_left(group) - self._present_frac(group, now) * group.together
            fresh = all(not replicate.epochs for replicate in group.replicates.values())
            overhead_s = self._speed.overhead_s if fresh else 0.0
            found.append(max(0.0, left) * self._speed.epoch_s(group.share) + overhead_s)
        return found

    @staticmethod
    def epochs_left(group: Group) -> float:
        """Epochs that the replicates of a group have still before them, together."""
        return sum(max(0.0, group.until - replicate.epochs) for replicate in group.replicates.values())

    def work_done(self) -> list[tuple[Work, int]]:
        """Shares of the work, and how many epochs of it the trainings that run have done."""
        return [
            (group.share, replicate.epochs)
            for group in self.groups
            for replicate in group.replicates.values()
        ]

    def _present_frac(self, group: Group, now: float) -> float:
        """How much of the present epoch is done, by the time that it usually takes."""
        if not self._speed.measured:
            return 0.0
        usual_s = self._speed.epoch_s(group.share) * group.together
        since = max(replicate.reported for replicate in group.replicates.values())
        return min(1.0, max(0.0, now - since) / usual_s) if usual_s > 0 else 0.0
