"""What records tell."""

import pytest

from archsearch.errors import JournalError
from archsearch.journal import Record, replay


class Tape:
    """Records with a clock that ticks once a record."""

    def __init__(self):
        self.records = []

    def add(self, kind, **fields):
        number = len(self.records) + 1
        self.records.append(Record(number, 1000.0 + number, kind, fields))
        return self

    def trial(self, number=0, seeds=(0,)):
        return self.add(
            "trial", trial=number, phase="sweep", cell={}, values={}, name="r20",
            architecture={"block": "residual", "depth": 20}, architecture_id="v1:a", training={"epochs": 2},
            data={"name": "digits"}, requested_depth=20, dropped=[], parameters=10, macs=20, activation_mib=1,
            seeds=list(seeds), optuna=None,
        )  # fmt: skip

    def epoch(self, epoch, value, seed=0):
        return self.add("epoch", trial=0, seed=seed, epoch=epoch, metrics={"val_loss": value})


@pytest.fixture
def tape():
    return Tape().add("study", version=1, name="depth", uid="u").add("session", pid=1, host="h")


def test_nothing_is_an_empty_history():
    history = replay([])
    assert history.header == {}
    assert history.trials == {}
    assert history.finished is None


def test_a_study_from_beginning_to_end(tape):
    tape.add("compute", precision="32").trial().add("started", trial=0, seed=0, attempt=1)
    tape.epoch(0, 0.5).epoch(1, 0.25)
    tape.add("replicate", trial=0, seed=0, outcome="complete", epochs=2, metrics={"val_error": 0.1})
    tape.add("told", trial=0, outcome="complete", values=[0.9], metrics={"val_error": 0.1})
    tape.add("test", trial=0, seed=0, metrics={"test_error": 0.2}).add(
        "finished", reason="all trials are done"
    )

    history = replay(tape.records)

    trial = history.trials[0]
    replicate = trial.replicates[0]
    assert history.header["name"] == "depth"
    assert history.compute == {"precision": "32"}
    assert history.finished == "all trials are done"
    assert (trial.outcome, trial.objective_values, trial.created, trial.told) == (
        "complete",
        (0.9,),
        1004.0,
        1009.0,
    )
    assert [dict(metrics) for metrics in replicate.epochs] == [{"val_loss": 0.5}, {"val_loss": 0.25}]
    assert replicate.epoch_times == (1006.0, 1007.0)
    assert (replicate.outcome, replicate.started, replicate.finished) == ("complete", 1005.0, 1008.0)
    assert replicate.metrics == {"val_error": 0.1}
    assert replicate.test == {"test_error": 0.2}


def test_a_trial_knows_the_figures_of_its_data_and_before_they_were_told_those_of_the_study():
    tape = Tape().add(
        "study", version=1, name="depth", uid="u", classes=10, train_images=1000, val_images=200
    )
    tape.trial(0).trial(1)
    tape.records[-1].fields.update(classes=5, train_images=500, val_images=100)

    old, new = replay(tape.records).trials.values()

    assert (old.classes, old.train_images, old.val_images) == (10, 1000, 200)
    assert (new.classes, new.train_images, new.val_images) == (5, 500, 100)


def test_a_replicate_started_again_replaces_its_earlier_epochs(tape):
    tape.trial().add("started", trial=0, seed=0, attempt=1).epoch(0, 0.5).epoch(1, 0.4)
    tape.add("replicate", trial=0, seed=0, outcome="lost", reason="killed", epochs=2, metrics={})
    tape.add("started", trial=0, seed=0, attempt=2).epoch(0, 0.6)

    replicate = replay(tape.records).trials[0].replicates[0]

    assert replicate.attempts == 2
    assert [dict(metrics) for metrics in replicate.epochs] == [{"val_loss": 0.6}]
    assert replicate.outcome is None


def test_a_replicate_that_goes_on_keeps_the_epochs_before(tape):
    tape.trial().add("started", trial=0, seed=0, attempt=1).epoch(0, 0.5).epoch(1, 0.4).epoch(2, 0.3)
    tape.add("replicate", trial=0, seed=0, outcome="lost", reason="killed", epochs=3, metrics={})
    tape.add("started", trial=0, seed=0, attempt=2, packed=[0, 1]).epoch(1, 0.45)

    replicate = replay(tape.records).trials[0].replicates[0]

    assert [dict(metrics) for metrics in replicate.epochs] == [{"val_loss": 0.5}, {"val_loss": 0.45}]
    assert replicate.epoch_times == (1005.0, 1010.0)
    assert (replicate.attempts, replicate.packed, replicate.started) == (2, (0, 1), 1009.0)


def test_replicates_of_one_trial_do_not_mix(tape):
    tape.trial(seeds=(0, 1)).epoch(0, 0.5, seed=0).epoch(0, 0.6, seed=1).epoch(1, 0.4, seed=0)

    replicates = replay(tape.records).trials[0].replicates

    assert len(replicates[0].epochs) == 2
    assert len(replicates[1].epochs) == 1


def test_a_trial_described_again_with_more_seeds_keeps_its_replicates(tape):
    tape.trial(seeds=(0,)).epoch(0, 0.5).trial(seeds=(0, 1))

    trial = replay(tape.records).trials[0]

    assert trial.seeds == (0, 1)
    assert len(trial.replicates[0].epochs) == 1


def test_predictors_stay_with_a_trial_that_is_described_again(tape):
    tape.trial().add("predictors", trial=0, scores={"synflow": 3.5, "naswot": None}).trial(seeds=(0, 1))

    assert replay(tape.records).trials[0].predictors == {"synflow": 3.5, "naswot": None}


def test_a_study_run_again_is_not_finished_until_it_says_so(tape):
    tape.add("finished", reason="done").add("session", pid=2, host="h")
    assert replay(tape.records).finished is None
    tape.add("finished", reason="")
    assert replay(tape.records).finished == ""


def test_sessions_know_how_long_they_lasted_and_why_they_ended(tape):
    tape.add("interrupted", reason="Ctrl-C").add("session", pid=2, host="h").add("compute", precision="32")

    first, second = replay(tape.records).sessions

    assert (first.started, first.ended, first.interrupted) == (1002.0, 1003.0, "Ctrl-C")
    assert (second.started, second.ended, second.interrupted) == (1004.0, 1005.0, None)
    assert second.hours == pytest.approx(1 / 3600)


def test_kinds_and_fields_of_a_later_version_are_passed_over(tape):
    tape.trial().add("constellation", of="the future").add("started", trial=0, seed=0, attempt=1, moon="full")
    assert replay(tape.records).trials[0].replicates[0].attempts == 1


def test_a_record_of_an_unknown_trial_names_its_line(tape):
    tape.add("told", trial=9, outcome="complete")
    with pytest.raises(JournalError, match="line 3: the told record has no 9"):
        replay(tape.records)


def test_a_history_is_frozen_while_records_go_on(tape):
    from archsearch.journal import Replay

    going = Replay()
    for record in tape.trial().records:
        going.add(record)
    before = going.history()
    for record in tape.trial(1).records[len(tape.records) - 1 :]:
        going.add(record)

    assert list(before.trials) == [0]
    assert list(going.history().trials) == [0, 1]


def test_each_replicate_belongs_to_the_session_that_trained_it_last(tape):
    tape.trial(0, seeds=(0, 1, 2)).trial(1, seeds=(0,))
    for seed in (0, 1):
        tape.add("started", trial=0, seed=seed, attempt=1, packed=[0, 1])
    tape.add("replicate", trial=0, seed=0, outcome="complete", epochs=2, metrics={})
    tape.add("session", pid=2, host="other")
    tape.add("started", trial=0, seed=1, attempt=2).add("started", trial=0, seed=2, attempt=1)
    tape.add("replicate", trial=1, seed=0, outcome="complete", epochs=2, metrics={}, repeated_of=0)

    history = replay(tape.records)

    first = history.trials[0].replicates
    assert {seed: (item.session, item.packed) for seed, item in first.items()} == {
        0: (0, (0, 1)),
        1: (1, ()),
        2: (1, ()),
    }
    assert history.trials[1].replicates[0].session == 0


def test_what_results_depend_on_is_what_the_session_says(tape):
    said = {"archsearch": "0.1.0", "commit": "0123456789abcdef", "modified": True, "device_name": "A"}
    tape.add("session", pid=2, host="other", versions={"torch": "2.13.0"}, **said)

    before, now = (session.provenance for session in replay(tape.records).sessions)

    assert before == {}
    assert now == {
        "archsearch": "0.1.0",
        "commit": "0123456789ab with changes",
        "torch": "2.13.0",
        "device": "A",
    }
