"""A training that is cut off after any epoch and goes on ends with the bits of one that was not."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from archsearch.training import Compute, EpochReport, Job, Pack, Result, train
from archsearch.training import checkpointing as rule
from archsearch.training.group import Group
from archsearch.training.memory import MemoryMeter
from archsearch.training.values import Checkpointing, as_pack
from tests.training.conftest import small_job

MEASURED = ("images_per_s", "train_time_s", "peak_memory_mib", "latency_ms")
EPOCHS = 4


def kept_in(folder: Path, job: Job) -> Job:
    """A job that keeps its state after every epoch."""
    name = f"{job.trial}-{job.seed}.safetensors"
    return replace(
        job,
        weights_path=str(folder / f"weights-{name}"),
        checkpointing=Checkpointing(str(folder / name), every_s=0),
    )


def events_of(work: Job | Pack) -> Iterator[EpochReport | Result]:
    training = train(work)
    try:
        while True:
            yield next(training)
    except StopIteration as end:
        yield end.value


def run(work: Job | Pack) -> tuple[list[EpochReport], list[Result]]:
    events = list(events_of(work))
    return [e for e in events if isinstance(e, EpochReport)], [e for e in events if isinstance(e, Result)]


def cut_off(work: Job | Pack, epochs: int) -> list[EpochReport]:
    """Train so many epochs, and begin the next: what was kept is then what a crash leaves."""
    events, count = events_of(work), len(as_pack(work).jobs)
    reports = [next(events) for _ in range(count * epochs + 1)]
    del events
    return reports[:-1]


def shown(events: Sequence[EpochReport | Result]) -> list[tuple[object, ...]]:
    """All that does not depend on the clock."""
    return sorted(
        (
            e.trial,
            e.seed,
            e.epoch if isinstance(e, EpochReport) else -1,
            sorted((name, value) for name, value in e.metrics.items() if name not in MEASURED),
            sorted(e.profile.items()) if isinstance(e, EpochReport) else e.outcome,
        )
        for e in events
    )


def assert_same_weights(one: Job, other: Job) -> None:
    first, second = load_file(one.weights_path), load_file(other.weights_path)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


CASES = {
    "residual": {"training": {"epochs": EPOCHS}},
    "drop_path": {
        "architecture": {"drop_path": 0.5},
        "training": {"epochs": EPOCHS, "augmentation": "crop_flip_cutout", "schedule": "cosine"},
    },
    "dropout": {
        "architecture": {"shortcut": "dropout"},
        "training": {"epochs": EPOCHS, "optimizer": "adamw", "momentum": 0.9, "learning_rate": 0.01},
    },
    "bfloat16": {
        "architecture": {"block": "dense", "depth": 10},
        "training": {"epochs": EPOCHS, "augmentation": "flip_erase", "optimizer": "adam", "warmup_epochs": 1,
                     "schedule": "multi_step", "learning_rate": 0.01},
        "compute": Compute(precision="bf16", channels_last=True),
    },
    "highway": {
        "architecture": {"block": "highway", "layout": "mlp", "depth": 6, "width": 12},
        "training": {"epochs": EPOCHS, "momentum": 0.0, "gradient_clip": 0.5},
    },
    "channels last": {
        "architecture": {"bottleneck": True, "depth": 11},
        "training": {"epochs": EPOCHS, "nesterov": True, "gradient_checkpointing": True},
        "compute": Compute(channels_last=True),
    },
}  # fmt: skip


def works(case: str, folder: Path, *, seeds: Sequence[int]) -> Job | Pack:
    jobs = tuple(kept_in(folder, replace(small_job(**CASES[case]), seed=seed)) for seed in seeds)
    return jobs[0] if len(jobs) == 1 else Pack(jobs)


EVERYDAY = [("drop_path", (5,)), ("highway", (5, 6, 7))]


def every_case() -> Iterator[object]:
    for case in CASES:
        for seeds in ((5,), (5, 6, 7)):
            marks = [] if (case, seeds) in EVERYDAY else [pytest.mark.slow]
            yield pytest.param(case, seeds, marks=marks, id=f"{case}, {len(seeds)} together")


@pytest.mark.parametrize(("case", "seeds"), list(every_case()))
def test_what_was_cut_off_ends_as_if_it_had_not_been(
    case: str, seeds: tuple[int, ...], tmp_path: Path
) -> None:
    epochs = random.Random(f"{case} {seeds}").randint(1, EPOCHS - 1)
    whole, cut = (works(case, tmp_path / name, seeds=seeds) for name in ("whole", "cut"))
    undisturbed, ends = run(whole)

    before = cut_off(cut, epochs)
    after, results = run(cut)

    assert [end.outcome for end in ends] == ["complete"] * len(seeds)
    assert shown(results) == shown(ends)
    assert shown(after) == shown(undisturbed)
    assert [report.recalled for report in after if report.seed == 5] == [e < epochs for e in range(EPOCHS)]
    assert shown([report for report in after if report.recalled]) == shown(before)
    assert {end.note for end in results} == {f"went on after epoch {epochs} of an earlier attempt"}
    for one, other in zip(as_pack(whole).jobs, as_pack(cut).jobs, strict=True):
        assert_same_weights(one, other)


@pytest.mark.parametrize(("case", "seeds"), EVERYDAY)
def test_a_paused_training_goes_on_to_the_bits_of_one_that_never_paused(
    case: str, seeds: tuple[int, ...], tmp_path: Path
) -> None:
    whole, paused = (works(case, tmp_path / name, seeds=seeds) for name in ("whole", "paused"))
    undisturbed, ends = run(whole)

    rungs = [run(_pausing_after(paused, epochs)) for epochs in (1, 3, EPOCHS)]

    for epochs, (reports, results) in zip((1, 3), rungs, strict=False):
        assert [result.outcome for result in results] == ["paused"] * len(seeds)
        assert {result.epochs for result in results} == {epochs}
        assert shown(reports) == shown([report for report in undisturbed if report.epoch < epochs])
    assert [report.recalled for report in rungs[1][0] if report.seed == 5] == [True, False, False]
    assert shown(rungs[2][1]) == shown(ends)
    for one, other in zip(as_pack(whole).jobs, as_pack(paused).jobs, strict=True):
        assert_same_weights(one, other)


def test_a_pause_writes_a_state_whenever_that_is_due_otherwise(tmp_path: Path) -> None:
    job = works("residual", tmp_path, seeds=(5,))
    seldom = replace(job, checkpointing=replace(job.checkpointing, every_s=1e6), pause_after=2)
    run(seldom)

    reports, _ = run(replace(seldom, pause_after=None))

    assert [report.recalled for report in reports] == [True, True, False, False]


def test_what_cannot_keep_its_state_begins_anew_and_says_so(tmp_path: Path) -> None:
    job = works("residual", tmp_path, seeds=(5,))
    (tmp_path / "file").touch()
    nowhere = replace(job, checkpointing=Checkpointing(str(tmp_path / "file" / "x"), 0), pause_after=2)

    _, (paused,) = run(nowhere)
    reports, (end,) = run(replace(nowhere, pause_after=None))

    assert paused.outcome == "paused"
    assert "its state could not be kept" in paused.note
    assert not any(report.recalled for report in reports)
    assert end.outcome == "complete"


def _pausing_after(work: Job | Pack, epochs: int) -> Job | Pack:
    jobs = tuple(replace(job, pause_after=epochs) for job in as_pack(work).jobs)
    return jobs[0] if len(jobs) == 1 else Pack(jobs)


def test_one_that_had_but_to_be_evaluated_is_only_that(tmp_path: Path) -> None:
    whole, cut = (works("highway", tmp_path / name, seeds=(5,)) for name in ("whole", "cut"))
    _, ends = run(whole)
    run(cut)
    again, results = run(cut)
    assert [report.recalled for report in again] == [True] * EPOCHS
    assert shown(results) == shown(ends)
    assert_same_weights(whole, cut)


def test_members_of_a_pack_go_on_without_the_one_that_has_ended(tmp_path: Path) -> None:
    whole, cut = (works("drop_path", tmp_path / name, seeds=(5, 6, 7)) for name in ("whole", "cut"))

    def stop_one(work: Pack, epochs: int) -> list[EpochReport | Result]:
        training = train(work)
        events = [next(training)]
        while True:
            event = events[-1]
            stop = isinstance(event, EpochReport) and (event.seed, event.epoch) == (6, 0)
            if isinstance(event, EpochReport) and event.epoch == epochs:
                return events[:-1]
            try:
                events.append(training.send(stop))
            except StopIteration as end:
                return [*events, end.value]

    undisturbed = stop_one(whole, EPOCHS)
    stop_one(cut, 2)
    rest = Pack((cut.jobs[0], cut.jobs[2]))
    _, results = run(rest)

    assert {result.outcome for result in results} == {"complete"}
    ended = [e for e in undisturbed if isinstance(e, Result) and e.seed != 6]
    # the memory of a pack that was larger apart
    assert [row[:3] for row in shown(results)] == [row[:3] for row in shown(ended)]
    for index in (0, 2):
        assert_same_weights(whole.jobs[index], cut.jobs[index])


def test_members_of_a_pack_that_stand_at_different_epochs_all_end(tmp_path: Path) -> None:
    work = works("residual", tmp_path, seeds=(5, 6))
    cut_off(work, 1)
    cut_off(work.jobs[0], 2)

    reports, results = run(work)

    assert {result.seed: result.outcome for result in results} == {5: "complete", 6: "complete"}
    epochs = {result.seed: result.note for result in results}
    assert epochs == {
        5: "went on after epoch 2 of an earlier attempt",
        6: "went on after epoch 1 of an earlier attempt",
    }
    for seed in (5, 6):
        assert [report.epoch for report in reports if report.seed == seed] == list(range(EPOCHS))


def test_a_stop_is_heard_while_epochs_are_recalled(tmp_path: Path) -> None:
    job = works("residual", tmp_path, seeds=(5,))
    cut_off(job, 2)
    training = train(job)
    assert next(training).recalled
    with pytest.raises(StopIteration) as end:
        training.send(True)
    assert (end.value.value.outcome, end.value.value.epochs) == ("stopped", 2)


def test_the_memory_of_a_pack_is_shared_out_and_a_share_goes_on_alone(tmp_path: Path, monkeypatch) -> None:
    work = works("highway", tmp_path, seeds=(5, 6, 7))
    monkeypatch.setattr(MemoryMeter, "peak_mib", lambda _: 300.0)
    cut_off(work, 1)
    monkeypatch.setattr(MemoryMeter, "peak_mib", lambda _: 30.0)

    _, (alone,) = run(work.jobs[0])
    _, rest = run(Pack(work.jobs[1:]))

    assert alone.metrics["peak_memory_mib"] == pytest.approx(100)
    assert [result.metrics["peak_memory_mib"] for result in rest] == [pytest.approx(100)] * 2


def test_one_that_ended_while_epochs_were_recalled_is_not_trained_again_alone(
    tmp_path: Path, monkeypatch
) -> None:
    work = works("residual", tmp_path, seeds=(5, 6, 7))
    cut_off(work, 2)
    train_epoch = Group.train_epoch

    def refuse_packs(self, epoch):
        if len(self.replicates) > 1:
            raise torch.OutOfMemoryError("no")
        return train_epoch(self, epoch)

    monkeypatch.setattr(Group, "train_epoch", refuse_packs)
    training, answer, results = train(work), None, []
    while True:
        try:
            event = training.send(answer)
        except StopIteration as end:
            results.append(end.value)
            break
        answer = isinstance(event, EpochReport) and (event.seed, event.epoch) == (6, 0)
        results += [event] if isinstance(event, Result) else []

    assert [(result.seed, result.outcome) for result in results] == [
        (6, "stopped"),
        (5, "complete"),
        (7, "complete"),
    ]


def test_a_full_disk_ends_no_training(tmp_path: Path, monkeypatch) -> None:
    def refuse(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rule, "save_checkpoints", refuse)
    _, (result,) = run(works("residual", tmp_path, seeds=(5,)))
    assert result.outcome == "complete"
    assert result.note == "its state could not be kept: [Errno 28] No space left on device"


class Hours:
    """A clock that is moved by hand."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("every_s", "epoch_s", "write_s", "written"),
    [
        # over before the first state is due
        (10.0, 0.05, 0.01, []),
        (10.0, 4.0, 0.01, [3, 6, 9, 12]),
        # writing takes 2 % of the training at most
        (10.0, 4.0, 0.39, [3, 8]),
        (10.0, 60.0, 0.4, list(range(1, 13))),
        (0.0, 0.05, 1.0, list(range(1, 13))),
    ],
)
def test_states_are_written_as_often_as_they_are_worth(
    every_s: float, epoch_s: float, write_s: float, written: list[int], tmp_path: Path, monkeypatch
) -> None:
    clock, found, passed = Hours(), [], []
    monkeypatch.setattr(rule, "time", clock)
    monkeypatch.setattr(rule, "take_states", lambda *_: {})

    def take_time(_):
        clock.now += write_s
        found.append(len(passed))

    monkeypatch.setattr(rule, "save_checkpoints", take_time)
    job = replace(small_job(), checkpointing=Checkpointing(str(tmp_path / "state"), every_s=every_s))
    group = type("Alone", (), {"fabric": type("Rank", (), {"is_global_zero": True})})
    checkpoints = rule.Checkpoints([job], rule.Start())
    for _ in range(12):
        passed.append(epoch_s)
        clock.now += epoch_s
        checkpoints.write_if_due(group)
    assert found == written


def test_a_training_that_is_over_at_once_writes_nothing(tmp_path: Path) -> None:
    job = replace(small_job(), checkpointing=Checkpointing(str(tmp_path / "state")))
    run(job)
    assert list(tmp_path.iterdir()) == []
