"""Journals of small studies, with a clock of their own."""

import itertools

from archsearch.journal import Journal

START = 1_700_000_000.0


class Study:
    """Writes a journal the way a conductor does."""

    def __init__(self, folder, name="depth", uid="uid-1"):
        self.folder = folder
        ticks = itertools.count()
        self.journal = Journal.open(folder / "journal.log", clock=lambda: START + 0.25 * next(ticks))
        if not self.journal.records:
            self.add("study", uid=uid, name=name, archsearch="0.1.0", objectives={"val_accuracy": "maximize"})

    def add(self, kind, **fields):
        self.journal.append(kind, **fields)
        return self

    def session(self):
        return self.add("session", pid=1, host="h", executor="local", slots=2, device="cpu")

    def trial(self, trial, seeds=(0,), *, depth=20, phase="sweep", **architecture):
        network = {"block": "residual", "depth": depth, "blocks": [3, 3, 3], "bottleneck": False}
        return self.add(
            "trial",
            trial=trial,
            phase=phase,
            cell={"architecture.block": "residual", "architecture.depth": depth},
            values={"training.learning_rate": 0.1},
            architecture=network | architecture,
            architecture_id=f"v1:{depth}",
            data_fingerprint="5e0f" * 16,
            training={"epochs": 2, "learning_rate": 0.1, "milestones": [0.5, 0.75]},
            data={"name": "digits", "root": ""},
            requested_depth=21,
            parameters=1000 + depth,
            macs=10**10 + depth,
            activation_mib=0.5,
            seeds=list(seeds),
            optuna=None,
            name=f"{(network | architecture)['block']}-{depth} w16 pad",
        )  # fmt: skip

    def started(self, trial, seed=0, attempt=1):
        return self.add("started", trial=trial, seed=seed, attempt=attempt)

    def epoch(self, trial, epoch, loss, seed=0):
        metrics = {"train_loss": loss, "val_loss": 2 * loss, "val_error": loss / 10, "images_per_s": 100.0}
        return self.add("epoch", trial=trial, seed=seed, epoch=epoch, metrics=metrics)

    def replicate(self, trial, outcome="complete", seed=0, reason="", epochs=2, **metrics):
        return self.add(
            "replicate",
            trial=trial,
            seed=seed,
            outcome=outcome,
            reason=reason,
            epochs=epochs,
            metrics=metrics,
        )

    def told(self, trial, outcome="complete", reason="", repeated_of=None, value=None, **metrics):
        return self.add(
            "told",
            trial=trial,
            outcome=outcome,
            reason=reason,
            values=None if value is None else [value],
            metrics=metrics,
            repeated_of=repeated_of,
        )


def steps_of_a_varied_study(study):
    """Yield after each few records of a study in which everything happens."""
    yield study.session()
    # Complete, one seed.
    yield study.trial(0).started(0).epoch(0, 0, 0.5)
    yield study.epoch(0, 1, 0.25).replicate(0, val_error=0.025, train_error=0.01, train_time_s=3.5)
    yield study.told(0, val_error=0.025, train_error=0.01, train_time_s=3.5)
    # Pruned, infeasible, failed, repeated.
    yield study.trial(1, depth=8, phase="search").started(1).epoch(1, 0, 0.75)
    yield study.replicate(1, "stopped", epochs=1).told(1, "pruned", "worse than the median")
    yield study.trial(2, depth=56).told(2, "infeasible", "parameters is 1056, must be at most 1000")
    yield study.trial(3, depth=110).started(3).epoch(3, 0, float("nan"))
    yield study.replicate(3, "failed", reason="loss became NaN\nTraceback", epochs=1)
    yield study.told(3, "failed", "loss became NaN\nTraceback")
    yield study.trial(4).told(4, "repeated", repeated_of=0, val_error=0.025)
    # Three seeds, one of which is lost with its worker and trained again.
    yield study.trial(5, (1, 2, 3), phase="confirm").started(5, 1).started(5, 2).epoch(5, 0, 0.5, 1)
    yield study.epoch(5, 0, 0.25, 2).epoch(5, 1, 0.125, 2)
    yield study.replicate(5, "lost", 2, "worker died: killed by signal 9", 2)
    yield (
        study.started(5, 2, 2)
        .epoch(5, 0, 0.25, 2)
        .epoch(5, 1, 0.125, 2)
        .replicate(5, seed=2, val_error=0.0125)
    )
    yield study.add("interrupted", reason="Ctrl-C")
    yield study.session().started(5, 1, 2).epoch(5, 0, 0.5, 1).epoch(5, 1, 0.25, 1)
    yield study.replicate(5, seed=1, val_error=0.025).started(5, 3).epoch(5, 0, 0.75, 3)
    yield study.epoch(5, 1, 0.375, 3).replicate(5, seed=3, val_error=0.0375).told(5, val_error=0.025)
    for seed in (1, 2, 3):
        yield study.add("test", trial=5, seed=seed, metrics={"test_error": seed / 100})
    yield study.add("finished", reason="all trials are done")


def varied_study(folder):
    """Write it whole."""
    study = Study(folder)
    for _ in steps_of_a_varied_study(study):
        pass
    return study
