"""What a journal says, as frozen values: the study, its trials, their replicates.

The mappings are plain dictionaries, so that they go through JSON and pickle as they are; nobody writes them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Metrics = Mapping[str, float]


@dataclass(frozen=True)
class ReplicateHistory:
    """A trial trained once under one seed.

    Attributes:
        attempts: How often it was started; above 1 after a crash.
        packed: Seeds that the latest attempt was trained with as one network, its own included; empty where
            it was trained alone.
        epochs: Metrics of each epoch, from epoch 0: those of the latest attempt, and before them those of the
            attempt that it went on from. Until it has reported, all that earlier attempts reported.
        epoch_times: When each of them was reported, Unix seconds.
        profiles: By epoch, of those that were watched, signals along the depth at its first step; that
            of epoch 0 is of the network as it was initialised.
        until: Epochs after which the latest attempt is paused; None where it is not to be.
        paused_after: Epochs after which it was paused last; 0 where it never was.
        outcome: complete, stopped, failed, lost or paused; None while it is under way.
        metrics: Measures at the end.
        test: Measures on the test set, where the study reports them.
        started: When the latest attempt started.
        finished: When the outcome was recorded.
        repeated_of: Number of the trial that was trained in its place, being the same; else None.
        note: What else is worth knowing: why it was trained alone, and not packed with others.
        session: Which of the study's sessions trained it, counted from 0; None where the journal has none.
        taken_over: Whose result it is, where another study had it already: `study` (its name), `uid`, and
            `trial` (its number there); None where it was trained here.
    """

    seed: int
    attempts: int = 0
    packed: tuple[int, ...] = ()
    epochs: tuple[Metrics, ...] = ()
    epoch_times: tuple[float, ...] = ()
    profiles: Mapping[int, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    until: int | None = None
    paused_after: int = 0
    outcome: str | None = None
    reason: str = ""
    metrics: Metrics = field(default_factory=dict)
    test: Metrics = field(default_factory=dict)
    started: float | None = None
    finished: float | None = None
    repeated_of: int | None = None
    note: str = ""
    session: int | None = None
    taken_over: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class TrialHistory:
    """One set of sampled values in one cell.

    Attributes:
        created: When it was recorded, Unix seconds.
        phase: search, sweep, confirm or include.
        cell: Swept values of its cell, by dotted path.
        values: Sampled values, by dotted path.
        parameters: Of the network; None where it could not be counted.
        mismatch: Share by which it misses the budget that its width was solved for; None without one.
        optuna: What the sampler must remember of it.
        outcome: complete, pruned, repeated, infeasible or failed; None while it is under way.
        objective_values: In the order of the study's objectives; None where there is no value.
        metrics: Means over its replicates.
        repeated_of: Number of the trial whose value a repeated one took over.
        told: When the outcome was recorded.
        replicates: By seed.
        score: By which the prefilter judged it; None without one, and where it could not be ranked.
        predictors: Scores of its untrained network by `archsearch.training.predictors`, None where it cannot
            be ranked; empty where they were not asked for, or stand at another trial of the network.
        data_fingerprint: SHA-256 of the images, labels and split; empty where it was not recorded.
        classes: Of its data; None where unknown. In journals written before trials told it, this and the
            numbers of images are those of the study's own data.
        train_images: Number of training images.
        val_images: Number of validation images.
    """

    number: int
    created: float
    name: str
    phase: str
    cell: Mapping[str, Any]
    values: Mapping[str, Any]
    architecture: Mapping[str, Any]
    architecture_id: str
    training: Mapping[str, Any]
    data: Mapping[str, Any]
    requested_depth: int | None
    dropped: tuple[str, ...]
    parameters: int | None
    macs: int | None
    activation_mib: float | None
    seeds: tuple[int, ...]
    optuna: Mapping[str, Any] | None
    mismatch: float | None = None
    outcome: str | None = None
    reason: str = ""
    objective_values: tuple[float, ...] | None = None
    metrics: Metrics = field(default_factory=dict)
    repeated_of: int | None = None
    told: float | None = None
    replicates: Mapping[int, ReplicateHistory] = field(default_factory=dict)
    data_fingerprint: str = ""
    classes: int | None = None
    train_images: int | None = None
    val_images: int | None = None
    score: float | None = None
    predictors: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def lenders(self) -> tuple[str, ...]:
        """Names of the studies that results were taken over from."""
        origins = [replicate.taken_over for replicate in self.replicates.values() if replicate.taken_over]
        return tuple(sorted({str(origin.get("study")) for origin in origins}))


@dataclass(frozen=True)
class SessionHistory:
    """One run of the conductor.

    Attributes:
        fields: pid, executor, slots, devices_per_trial; host, processor, device, versions, commit.
        started: Unix seconds.
        ended: Time of its last record so far.
        interrupted: Why it ended early; None where it did not, or died without a word.
    """

    fields: Mapping[str, Any]
    started: float
    ended: float
    interrupted: str | None = None

    @property
    def hours(self) -> float:
        """How long it lasted."""
        return (self.ended - self.started) / 3600

    @property
    def provenance(self) -> dict[str, str]:
        """What results depend on besides the study, by name; journals written before it was kept lack it."""
        fields = self.fields
        commit = str(fields.get("commit") or "")[:12]
        known = {
            "archsearch": fields.get("archsearch"),
            "commit": f"{commit} with changes" if commit and fields.get("modified") else commit,
            **(fields.get("versions") or {}),
            "device": fields.get("device_name"),
        }
        return {name: str(value) for name, value in known.items() if value}


@dataclass(frozen=True)
class StudyHistory:
    """All that a journal says.

    Attributes:
        header: Fields of the ``study`` record; empty before there is one.
        question: Fields of the latest ``question`` record: what the study asked for when it was last run.
        looks: How often seeds were added because a look at the results found them undecided.
        created: When the study began, Unix seconds.
        compute: Fields of the latest ``compute`` record.
        finished: Why the study counts as complete; None while something is left to do.
    """

    header: Mapping[str, Any] = field(default_factory=dict)
    question: Mapping[str, Any] = field(default_factory=dict)
    looks: int = 0
    created: float | None = None
    compute: Mapping[str, Any] | None = None
    trials: Mapping[int, TrialHistory] = field(default_factory=dict)
    sessions: tuple[SessionHistory, ...] = ()
    finished: str | None = None

    @property
    def taken_over(self) -> dict[str, int]:
        """Number of results that were taken over from other studies, by the names of these."""
        replicates = (one for trial in self.trials.values() for one in trial.replicates.values())
        return dict(Counter(str(one.taken_over.get("study")) for one in replicates if one.taken_over))

    @property
    def text(self) -> str:
        """The study as it was last run; empty where the journal does not hold it."""
        return (self.question or self.header).get("text") or ""
