"""A training that is cut off after any epoch and goes on ends with the bits of one that was not."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from archsearch.data import load_dataset
from archsearch.errors import CheckpointError
from archsearch.training import Compute, EpochReport, Job, Pack, Result, train
from archsearch.training import checkpointing as rule
from archsearch.training.checkpoint import identify, read_checkpoint
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


@pytest.fixture
def kept(tmp_path: Path) -> Job:
    """A job of which three epochs are kept."""
    job = works("residual", tmp_path, seeds=(5,))
    cut_off(job, 3)
    return job


def rewrite(job: Job, **changes: object) -> None:
    """Change something in a state, and leave the rest of the file as it is."""
    path = job.checkpointing.path
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    if "weight" in changes:
        name = next(name for name in tensors if name.startswith("network.") and name.endswith("weight"))
        tensors[name].view(-1)[0] += changes["weight"]
    if "seconds" in changes:
        state = json.loads(metadata["state"])
        state["figures"]["seconds"] = changes["seconds"]
        metadata["state"] = json.dumps(state)
    save_file(tensors, path, metadata)


def cut_in_half(job: Job) -> None:
    path = Path(job.checkpointing.path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(job: Job) -> None:
    path = Path(job.checkpointing.path)
    content = bytearray(path.read_bytes())
    content[-100] ^= 4
    path.write_bytes(content)


DAMAGES = {
    "cut short": cut_in_half,
    "a flipped bit": flip_a_bit,
    "empty": lambda job: Path(job.checkpointing.path).write_bytes(b""),
    "something else": lambda job: Path(job.checkpointing.path).write_bytes(b"\x80\x04K\x01." * 99),
    "another weight": lambda job: rewrite(job, weight=0.5),
    "another figure": lambda job: rewrite(job, seconds=1.0),
    "weights alone": lambda job: save_file(load_file(job.checkpointing.path), job.checkpointing.path),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_state_is_noticed(damage, kept: Job) -> None:
    identity = identify(kept, load_dataset(kept.data).fingerprint)
    assert read_checkpoint(kept.checkpointing.path, identity).epochs == 3
    damage(kept)
    with pytest.raises(CheckpointError, match="it is damaged"):
        read_checkpoint(kept.checkpointing.path, identity)


def test_a_training_with_a_damaged_state_begins_anew_and_says_so(kept: Job, tmp_path: Path) -> None:
    flip_a_bit(kept)
    reports, (result,) = run(kept)
    undisturbed, _ = run(works("residual", tmp_path / "whole", seeds=(5,)))
    assert shown(reports) == shown(undisturbed)
    assert not any(report.recalled for report in reports)
    assert result.note.startswith(
        "began anew, as an earlier attempt's state could not be used: it is damaged"
    )
    assert result.outcome == "complete"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 6}, "seed"),
        ({"compute": Compute(precision="bf16")}, "precision"),
        ({"training": {"epochs": 5}}, "training"),
        ({"data": {"train_limit": 299}}, "data"),
        ({"architecture": {"width": 5}}, "architecture"),
    ],
)
def test_a_state_of_another_training_is_not_used(changes, named: str, kept: Job) -> None:
    other = small_job(**{"training": {"epochs": EPOCHS}, **changes})
    assert other.replicate == (kept.trial, other.seed)
    with pytest.raises(CheckpointError, match=f"it is of another {named}$"):
        read_checkpoint(kept.checkpointing.path, identify(other, load_dataset(other.data).fingerprint))


def test_a_state_of_a_network_that_a_plugin_has_changed_is_not_used(kept: Job, monkeypatch) -> None:
    read = rule.read_checkpoint

    def read_less(*arguments):
        checkpoint = read(*arguments)
        return replace(checkpoint, network=dict(list(checkpoint.network.items())[1:]))

    monkeypatch.setattr(rule, "read_checkpoint", read_less)
    reports, (result,) = run(kept)
    assert [report.recalled for report in reports] == [False] * EPOCHS
    assert "it is of a network with other weights" in result.note


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
