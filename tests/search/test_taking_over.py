"""What another study has trained is taken over, under the same conditions alone."""

from __future__ import annotations

import json
import shutil
import struct
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from archsearch.journal import Journal, RunFolder, TrialHistory, read_journal, replay
from archsearch.search.conductor import Conductor
from archsearch.search.jobs import Workplace
from archsearch.search.other_studies import OtherStudies, describe_conditions
from archsearch.search.spending import Spending
from archsearch.search.taking_over import TakingOver, is_whole
from archsearch.study import parse_study
from archsearch.training import Compute, EpochReport, Result
from tests.search.conftest import TableExecutor
from tests.search.test_conductor import SEARCH, SWEEP

HERE = {
    "code": "a1",
    "versions": {"torch": "2.13", "optuna": "5"},
    "device_name": "a processor",
    "devices_per_trial": 1,
}
SEEDED = SEARCH + "seeds: 2\n"


def weights(values: int = 2) -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [values], "data_offsets": [0, 4 * values]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4 * values)


class SavingExecutor(TableExecutor):
    """A table's trainings leave weights, as real ones do."""

    def __init__(self, slots: int = 1) -> None:
        super().__init__(slots)
        self._paths: dict[tuple[int, int], Path] = {}

    def submit(self, work: Any) -> None:
        super().submit(work)
        for job in getattr(work, "jobs", (work,)):
            self._paths[job.replicate] = Path(job.weights_path)

    def wait(self, timeout_s: float | None) -> EpochReport | Result | None:
        event = super().wait(timeout_s)
        if isinstance(event, Result) and event.outcome == "complete":
            path = self._paths[event.replicate]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(weights())
        return event


class Neighbourhood:
    """Studies below one folder."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self.executor = SavingExecutor()

    def folder(self, name: str) -> RunFolder:
        return RunFolder(self.runs / name)

    def run(
        self,
        text: str,
        name: str,
        *,
        slots: int = 1,
        session: dict[str, Any] = HERE,
        compute: Compute = Compute(),  # noqa: B008 - frozen
        reuse: bool = True,
    ) -> Conductor:
        study = parse_study(text.replace(text.split()[1], name, 1), "study.yaml")
        folder, self.executor = self.folder(name), SavingExecutor(slots)
        with Journal.open(folder.journal) as journal:
            if not journal.records:
                header = {"name": name, "uid": f"uid of {name}", "identity": study.identity()}
                journal.append("study", **header, train_images=100, objectives=dict(study.objectives))
                journal.append("compute", **asdict(compute))
            conditions = describe_conditions(session, asdict(compute))
            assert conditions is not None
            found = TakingOver(study, folder, OtherStudies(folder), conditions) if reuse else None
            conductor = Conductor(
                study, journal, Workplace(self.executor, compute, folder), taking_over=found
            )
            if conductor.take_up():
                conductor.record("session", **session)
                conductor.record("finished", reason=conductor.run())
            conductor.close()
            return conductor


@pytest.fixture
def neighbourhood(tmp_path: Path) -> Neighbourhood:
    return Neighbourhood(tmp_path / "runs")


def found(conductor: Conductor) -> list[object]:
    return [
        (t.number, t.phase, dict(t.cell), dict(t.values), t.outcome, t.objective_values, dict(t.metrics))
        for t in conductor.trials.values()
    ]


@pytest.mark.parametrize(
    "text",
    [SWEEP, SEEDED, SEEDED + "sampler: {name: tpe, n_startup_trials: 3}\n", SEEDED + "sampler: random\n"],
    ids=["sweep", "search", "tpe", "random"],
)
@pytest.mark.parametrize("slots", [1, 3])
def test_under_another_name_a_study_trains_nothing(
    text: str, slots: int, neighbourhood: Neighbourhood
) -> None:
    first = neighbourhood.run(text, "first", slots=slots)
    second = neighbourhood.run(text, "second", slots=slots)

    assert neighbourhood.executor.trained == []
    assert found(second) == found(first)
    confirmed = [t for t in second.trials.values() if t.phase in ("sweep", "confirm")]
    assert confirmed
    assert all(
        is_whole(neighbourhood.folder("second").weights(trial.number, seed))
        for trial in confirmed
        for seed in trial.seeds
    )


def test_what_is_taken_over_stands_in_the_journal_as_if_it_had_been_trained(
    neighbourhood: Neighbourhood,
) -> None:
    first = neighbourhood.run(SWEEP, "first").trials
    neighbourhood.run(SWEEP, "second")
    shutil.rmtree(neighbourhood.folder("first").path)

    records = read_journal(neighbourhood.folder("second").journal)
    history, spending = replay(records), Spending()
    for record in records:
        spending.add(record)
    for trial in history.trials.values():
        assert trial.lenders == ("first",)
        for seed, replicate in trial.replicates.items():
            trained = first[trial.number].replicates[seed]
            assert (replicate.epochs, replicate.metrics) == (trained.epochs, trained.metrics)
            assert replicate.taken_over == {"study": "first", "uid": "uid of first", "trial": trial.number}
            assert replicate.session == 0
    assert history.taken_over == {"first": 8}
    assert (spending.epochs, spending.macs) == (0, 0)
    assert not any(record.kind == "started" for record in records)


def test_only_what_is_new_is_trained(neighbourhood: Neighbourhood) -> None:
    neighbourhood.run(SWEEP, "first")
    grown = SWEEP.replace("seeds: 2", "seeds: 3").replace("depth: [8, 14]", "depth: [14, 20]")
    conductor = neighbourhood.run(grown, "second")

    known = {
        (t.number, seed)
        for t in conductor.trials.values()
        if t.cell["architecture.depth"] == 14
        for seed in (0, 1)
    }
    every = {(number, seed) for number in conductor.trials for seed in (0, 1, 2)}
    assert set(neighbourhood.executor.trained) == every - known


def test_a_longer_search_goes_on_from_where_the_other_ended(neighbourhood: Neighbourhood) -> None:
    neighbourhood.run(SEARCH, "first", slots=2)
    conductor = neighbourhood.run(SEARCH.replace("trials: 12", "trials: 15"), "second", slots=2)

    assert len(conductor.trials) == 15
    assert {trial for trial, _ in neighbourhood.executor.trained} <= {12, 13, 14}
    assert conductor.history.finished == "every trial asked for has ended"


@pytest.mark.parametrize(
    ("session", "compute"),
    [
        ({"code": "a2"}, {}),
        ({"versions": {"torch": "2.14", "optuna": "5"}}, {}),
        ({"device_name": "another"}, {}),
        ({"devices_per_trial": 2}, {}),
        ({}, {"precision": "bf16"}),
        ({}, {"channels_last": True}),
        ({}, {"threads": 2}),
        ({}, {"device": "mps"}),
    ],
)
def test_under_other_conditions_all_is_trained_anew(
    session: dict[str, Any], compute: dict[str, Any], neighbourhood: Neighbourhood
) -> None:
    neighbourhood.run(SWEEP, "first")
    there = replace(Compute(), **compute)
    neighbourhood.run(SWEEP, "second", session={**HERE, **session}, compute=there)

    assert len(neighbourhood.executor.trained) == 8


def test_another_version_of_what_trains_nothing_is_no_other_condition(neighbourhood: Neighbourhood) -> None:
    neighbourhood.run(SWEEP, "first")
    session = {**HERE, "versions": {"torch": "2.13", "optuna": "6"}, "host": "another"}
    neighbourhood.run(SWEEP, "second", session=session, compute=Compute(reason="asked for", pack=3))

    assert neighbourhood.executor.trained == []


@pytest.mark.parametrize(
    "change", [("epochs: 2", "epochs: 3"), ("seeds: 2", "seeds: [5, 6]"), ("width: 8", "width: 4")]
)
def test_another_training_is_trained(change: tuple[str, str], neighbourhood: Neighbourhood) -> None:
    neighbourhood.run(SWEEP, "first")
    neighbourhood.run(SWEEP.replace(*change), "second")

    assert len(neighbourhood.executor.trained) == 8


def test_what_was_stopped_half_way_is_trained_again(neighbourhood: Neighbourhood) -> None:
    text = SEARCH + "pruner: {name: median, n_startup_trials: 2}\n"
    first = neighbourhood.run(text, "first")
    pruned = {t.number for t in first.trials.values() if t.outcome == "pruned"}
    assert pruned

    second = neighbourhood.run(text, "second")

    assert {trial for trial, _ in neighbourhood.executor.trained} == pruned
    assert found(second) == found(first)


def test_without_its_weights_what_the_answer_rests_on_is_trained_again(neighbourhood: Neighbourhood) -> None:
    neighbourhood.run(SWEEP, "first")
    neighbourhood.folder("first").weights(1, 0).unlink()
    cut = neighbourhood.folder("first").weights(2, 1)
    cut.write_bytes(weights()[:-1])

    neighbourhood.run(SWEEP, "second")

    assert sorted(neighbourhood.executor.trained) == [(1, 0), (2, 1)]


def test_of_a_search_only_the_best_is_trained_again_for_its_weights(neighbourhood: Neighbourhood) -> None:
    first = neighbourhood.run(SEARCH, "first")
    kept = list((neighbourhood.folder("first").path / "weights").iterdir())
    assert len(kept) == 1
    kept[0].unlink()

    second = neighbourhood.run(SEARCH, "second")

    best = max(first.trials.values(), key=lambda trial: trial.objective_values)
    assert neighbourhood.executor.trained == [(best.number, 0)]
    assert found(second) == found(first)
    assert second.trials[best.number].lenders == ()
    neighbourhood.run(SEARCH, "second")
    assert neighbourhood.executor.trained == []
    assert len(list((neighbourhood.folder("second").path / "weights").iterdir())) == 1


def test_what_was_not_measured_there_is_trained(neighbourhood: Neighbourhood) -> None:
    neighbourhood.run(SWEEP, "first")
    neighbourhood.run(SWEEP.replace("val_accuracy: maximize", "latency_ms: minimize"), "second")

    assert len(neighbourhood.executor.trained) == 8


def test_wherever_it_was_killed_it_goes_on_the_same(neighbourhood: Neighbourhood, tmp_path: Path) -> None:
    text = SEARCH.replace("12", "4") + "seeds: 2\npruner: {name: median, n_startup_trials: 1}\n"
    neighbourhood.run(text.replace("trials: 4", "trials: 3"), "first")
    whole = found(neighbourhood.run(text, "second"))
    lines = neighbourhood.folder("second").journal.read_bytes().splitlines(keepends=True)
    for kept in range(3, len(lines)):
        shutil.rmtree(neighbourhood.folder("second").path)
        neighbourhood.folder("second").path.mkdir()
        neighbourhood.folder("second").journal.write_bytes(b"".join(lines[:kept]))
        assert found(neighbourhood.run(text, "second")) == whole, f"cut after {kept} lines"


def test_where_two_runs_share_weights_the_one_may_remove_its_own(neighbourhood: Neighbourhood) -> None:
    neighbourhood.run(SWEEP, "first")
    trials: dict[int, TrialHistory] = dict(neighbourhood.run(SWEEP, "second").trials)
    shutil.rmtree(neighbourhood.folder("first").path)

    assert all(is_whole(neighbourhood.folder("second").weights(t, s)) for t in trials for s in (0, 1))


def test_what_went_on_under_other_versions_is_lent_to_nobody(neighbourhood: Neighbourhood) -> None:
    neighbourhood.run(SWEEP, "first")
    journal = neighbourhood.folder("first").journal
    started = [record.number for record in read_journal(journal) if record.kind == "started"]
    lines = journal.read_bytes().splitlines(keepends=True)
    # killed while trial 1 was trained under seed 0
    journal.write_bytes(b"".join(lines[: started[2]]))
    newer = {**HERE, "versions": {"torch": "2.14", "optuna": "5"}}
    neighbourhood.run(SWEEP, "first", session=newer)
    shutil.rmtree(neighbourhood.folder("first").path / "checkpoints", ignore_errors=True)

    neighbourhood.run(SWEEP, "second", session=newer)
    assert sorted(neighbourhood.executor.trained) == [(0, 0), (0, 1), (1, 0)]


@pytest.mark.parametrize("device", ["", None])
def test_of_unknown_devices_nothing_is_taken_over(device: str | None) -> None:
    assert describe_conditions({**HERE, "device_name": device}) is None


def test_once_two_searches_differ_the_one_never_follows_the_other_again(neighbourhood: Neighbourhood) -> None:
    # The other one was confirmed after its third trial, and then went on.
    neighbourhood.run(SEEDED.replace("12", "3"), "first")
    neighbourhood.run(SEEDED.replace("12", "6"), "first")
    whole = found(neighbourhood.run(SEEDED, "second"))
    lines = neighbourhood.folder("second").journal.read_bytes().splitlines(keepends=True)
    trials = [
        record.number
        for record in read_journal(neighbourhood.folder("second").journal)
        if record.kind == "trial"
    ]
    for kept in trials[2:7]:
        shutil.rmtree(neighbourhood.folder("second").path)
        neighbourhood.folder("second").path.mkdir()
        neighbourhood.folder("second").journal.write_bytes(b"".join(lines[:kept]))
        assert found(neighbourhood.run(SEEDED, "second")) == whole, f"cut after {kept} lines"


def test_without_keeping_only_the_best_of_all_cells_is_trained_again_for_its_weights(
    neighbourhood: Neighbourhood,
) -> None:
    text = SEARCH.replace("  depth: [8, 14, 20]\n", "").replace("12", "4")
    text += "sweep: {depth: [8, 14]}\nexecution: {keep: none}\n"
    neighbourhood.run(text, "first")
    second = neighbourhood.run(text, "second")
    best = max(second.trials.values(), key=lambda trial: trial.objective_values)
    assert neighbourhood.executor.trained == [(best.number, 0)]
