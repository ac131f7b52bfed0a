"""Records, one after the other, into the history that they tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from archsearch.errors import JournalError
from archsearch.journal.history import ReplicateHistory, SessionHistory, StudyHistory, TrialHistory
from archsearch.journal.records import Record
from archsearch.journal.shapes import OF_DATA, check_shape

SESSION_ENDS = ("finished", "interrupted")
"""The last record of a session that was not killed."""

BETWEEN_SESSIONS = ("question", "resumed")
"""What is written before the next session begins; what comes then is no part of the one before."""


def replay(records: Iterable[Record]) -> StudyHistory:
    """Return what some records tell, from a journal's first to any later one.

    Kinds and fields that this version does not know are passed over.

    Raises:
        JournalError: A record speaks of a trial that no earlier one described, or lacks a field.
    """
    replay = Replay()
    for record in records:
        replay.add(record)
    return replay.history()


class Replay:
    """Builds a history record by record, for those who follow a journal that still grows."""

    def __init__(self) -> None:
        self._study = StudyHistory()
        self._trials: dict[int, TrialHistory] = {}
        self._sessions: list[SessionHistory] = []
        self._in_session = False
        self._steps: dict[str, Callable[[Record], None]] = {
            "study": self._begin_study,
            "question": self._ask,
            "session": self._begin_session,
            "compute": self._decide_compute,
            "trial": self._describe_trial,
            "started": self._start_replicate,
            "epoch": self._add_epoch,
            "replicate": self._end_replicate,
            "told": self._tell,
            "test": self._add_test,
            "predictors": self._add_predictors,
            "finished": self._finish,
            "interrupted": self._interrupt,
        }

    @property
    def trials(self) -> Mapping[int, TrialHistory]:
        """The trials so far; changes as records are added."""
        return self._trials

    @property
    def sessions(self) -> Sequence[SessionHistory]:
        """The sessions so far; changes as records are added."""
        return self._sessions

    @property
    def in_session(self) -> bool:
        """Whether the newest session has not ended: it runs, or was killed."""
        return self._in_session

    def add(self, record: Record) -> None:
        """Take one more record into account.

        Raises:
            JournalError: It speaks of a trial that no earlier one described, lacks a field, or has one of
                another type.
        """
        check_shape(record)
        step = self._steps.get(record.kind)
        if step is not None:
            try:
                step(record)
            except KeyError as error:
                raise JournalError(
                    f"journal, line {record.number}: the {record.kind} record has no {error}, "
                    "or nothing before it does. Use the version of archsearch that wrote the journal."
                ) from error
        if record.kind in BETWEEN_SESSIONS:
            self._in_session = False
        if self._in_session:
            self._sessions[-1] = replace(self._sessions[-1], ended=record.time)
        if record.kind in SESSION_ENDS:
            self._in_session = False

    def history(self) -> StudyHistory:
        """Return the history so far, which later records do not change."""
        return replace(self._study, trials=dict(self._trials), sessions=tuple(self._sessions))

    def _begin_study(self, record: Record) -> None:
        self._study = replace(self._study, header=record.fields, created=record.time)

    def _ask(self, record: Record) -> None:
        self._study = replace(self._study, question=record.fields)

    def _begin_session(self, record: Record) -> None:
        # A study that is run again may have grown: whether it is finished is for this session to say.
        self._study = replace(self._study, finished=None)
        self._sessions.append(SessionHistory(record.fields, record.time, record.time))
        self._in_session = True

    def _decide_compute(self, record: Record) -> None:
        self._study = replace(self._study, compute=record.fields)

    def _describe_trial(self, record: Record) -> None:
        trial = _trial_from(record, self._study.header)
        known = self._trials.get(trial.number)
        if known is not None:
            # Described again with more seeds: what was trained stays.
            trial = replace(known, seeds=trial.seeds, phase=trial.phase, name=trial.name, optuna=trial.optuna)
            # A look may add seeds to several trials, whose records then carry its number.
            self._study = replace(self._study, looks=max(self._study.looks, record.fields.get("look", 0)))
        self._trials[trial.number] = trial

    def _start_replicate(self, record: Record) -> None:
        seed, known = record.fields["seed"], self._replicate(record)
        # Whether it goes on from an earlier attempt, and from which epoch, its first report will say.
        going_on = ReplicateHistory(
            seed,
            attempts=record.fields["attempt"],
            session=len(self._sessions) - 1 if self._sessions else None,
            packed=tuple(record.fields.get("packed") or ()),
            epochs=known.epochs,
            epoch_times=known.epoch_times,
            profiles=known.profiles,
            until=record.fields.get("until"),
            paused_after=known.paused_after,
            started=record.time,
        )
        self._set(record, going_on)

    def _add_epoch(self, record: Record) -> None:
        epoch = record.fields["epoch"]
        # What a dead attempt reported of this epoch and later ones is no part of this training.
        known = _cut(self._replicate(record), epoch)
        profiles = dict(known.profiles)
        # journals written before there were profiles lack them
        if profile := record.fields.get("profile"):
            profiles[epoch] = profile
        self._set(
            record,
            replace(
                known,
                epochs=(*known.epochs, record.fields["metrics"]),
                epoch_times=(*known.epoch_times, record.time),
                profiles=profiles,
            ),
        )

    def _end_replicate(self, record: Record) -> None:
        known, repeated_of = self._replicate(record), record.fields.get("repeated_of")
        if repeated_of is not None:
            # It is the same training, so it went the same way.
            source = self._trials[repeated_of].replicates[record.fields["seed"]]
            known = replace(
                known,
                epochs=source.epochs,
                epoch_times=source.epoch_times,
                profiles=source.profiles,
                session=source.session,
            )
        elif record.fields["outcome"] != "lost":
            # A failure before its first report leaves nothing of what attempts before it had reported.
            known = _cut(known, record.fields["epochs"])
        outcome = record.fields["outcome"]
        taken_over = record.fields.get("taken_over")
        if taken_over is not None:
            # It counts as this session's, for it is taken over under the same conditions alone.
            session = len(self._sessions) - 1 if self._sessions else None
            known = replace(known, session=session, packed=tuple(record.fields.get("packed") or ()))
        self._set(
            record,
            replace(
                known,
                outcome=outcome,
                paused_after=len(known.epochs) if outcome == "paused" else known.paused_after,
                reason=record.fields.get("reason", ""),
                metrics=record.fields["metrics"],
                finished=record.time,
                repeated_of=repeated_of,
                note=record.fields.get("note", ""),
                taken_over=taken_over,
            ),
        )

    def _add_test(self, record: Record) -> None:
        test = record.fields["metrics"]
        self._set(record, replace(self._replicate(record), test=test))

    def _add_predictors(self, record: Record) -> None:
        trial = self._trials[record.fields["trial"]]
        self._trials[trial.number] = replace(trial, predictors=record.fields["scores"] or {})

    def _tell(self, record: Record) -> None:
        fields = record.fields
        values = fields.get("values")
        trial = self._trials[fields["trial"]]
        attributes = fields.get("optuna_attributes")
        optuna = trial.optuna
        if optuna is not None and attributes is not None:
            optuna = {**optuna, "trial_attributes": attributes}
        self._trials[trial.number] = replace(
            trial,
            optuna=optuna,
            outcome=fields["outcome"],
            reason=fields.get("reason", ""),
            objective_values=None if values is None else tuple(values),
            metrics=fields.get("metrics") or {},
            repeated_of=fields.get("repeated_of"),
            told=record.time,
        )

    def _finish(self, record: Record) -> None:
        self._study = replace(self._study, finished=record.fields.get("reason", ""))

    def _interrupt(self, record: Record) -> None:
        if self._sessions:
            reason = record.fields.get("reason", "")
            self._sessions[-1] = replace(self._sessions[-1], interrupted=reason)

    def _replicate(self, record: Record) -> ReplicateHistory:
        trial, seed = self._trials[record.fields["trial"]], record.fields["seed"]
        return trial.replicates.get(seed) or ReplicateHistory(seed)

    def _set(self, record: Record, replicate: ReplicateHistory) -> None:
        trial = self._trials[record.fields["trial"]]
        replicates = {**trial.replicates, replicate.seed: replicate}
        self._trials[trial.number] = replace(trial, replicates=replicates)


def _cut(replicate: ReplicateHistory, epochs: int) -> ReplicateHistory:
    """Leave out what was reported of all but the first epochs."""
    if len(replicate.epochs) <= epochs:
        return replicate
    return replace(
        replicate,
        epochs=replicate.epochs[:epochs],
        epoch_times=replicate.epoch_times[:epochs],
        profiles={epoch: p for epoch, p in replicate.profiles.items() if epoch < epochs},
    )


def _trial_from(record: Record, header: Mapping[str, Any]) -> TrialHistory:
    # journals written before trials told the figures of their data have those of the study
    fields: dict[str, Any] = {**{name: header.get(name) for name in OF_DATA}, **record.fields}
    return TrialHistory(
        number=fields["trial"],
        created=record.time,
        name=fields.get("name") or "",
        phase=fields["phase"],
        cell=fields["cell"],
        values=fields["values"],
        architecture=fields["architecture"],
        architecture_id=fields["architecture_id"],
        training=fields["training"],
        data=fields["data"],
        requested_depth=fields.get("requested_depth"),
        dropped=tuple(fields.get("dropped") or ()),
        parameters=fields.get("parameters"),
        macs=fields.get("macs"),
        activation_mib=fields.get("activation_mib"),
        seeds=tuple(fields["seeds"]),
        optuna=fields.get("optuna"),
        mismatch=fields.get("mismatch"),
        data_fingerprint=fields.get("data_fingerprint") or "",
        **{name: fields[name] for name in OF_DATA},
        score=fields.get("score"),
    )
