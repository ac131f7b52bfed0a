"""Replicates trained as one network: each as if it were alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from archsearch.architecture import BLOCKS, FIELDS, resolve_architecture
from archsearch.errors import ArchitectureError
from archsearch.study.settings import DataSettings
from archsearch.training import EpochReport, Job, Pack, Result, group, train
from archsearch.training.packing import PackedClassifier
from tests.models.contract import settings_of_block
from tests.training.conftest import run_job, small_job

SEEDS = (3, 4, 5)
# 40 images in batches of 8, four times: 20 steps
TWENTY_STEPS = {"epochs": 4, "batch_size": 8, "learning_rate": 0.02}
MEASURED = {"images_per_s", "train_time_s", "peak_memory_mib", "latency_ms", "packed_replicates"}


@pytest.fixture
def in_double(monkeypatch):
    """Everything in float64: what becomes a float becomes a double."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture
def packs(monkeypatch):
    """How many networks were packed, each time."""
    made = []

    class Recording(PackedClassifier):
        def __init__(self, classifiers):
            super().__init__(classifiers)
            made.append(len(classifiers))

    monkeypatch.setattr(group, "PackedClassifier", Recording)
    return made


def jobs_of(job: Job, folder=None, seeds=SEEDS) -> list[Job]:
    return [
        replace(job, seed=seed, weights_path=str(folder / f"{seed}.safetensors") if folder else None)
        for seed in seeds
    ]


def run_pack(jobs: list[Job], stop: dict[int, int] | None = None):
    """Train a pack; `stop` says after how many epochs a seed is asked to stop."""
    reports: dict[int, list[EpochReport]] = {job.seed: [] for job in jobs}
    results: dict[int, Result] = {}
    training = train(Pack(tuple(jobs)))
    answer = None
    while True:
        try:
            event = training.send(answer)
        except StopIteration as last:
            results[last.value.seed] = last.value
            return reports, results
        answer = False
        if isinstance(event, Result):
            results[event.seed] = event
        else:
            # a replicate that is trained anew reports anew
            reports[event.seed][event.epoch :] = [event]
            answer = (stop or {}).get(event.seed) == event.epoch + 1


def figures(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name not in MEASURED}


def check_alone(job: Job, tmp_path, *, rel: float, stop: dict[int, int] | None = None) -> dict[int, Result]:
    """Each replicate of a pack reports, ends and is saved as it is alone."""
    (tmp_path / "packed").mkdir()
    (tmp_path / "alone").mkdir()
    reports, results = run_pack(jobs_of(job, tmp_path / "packed"), stop)
    for own in jobs_of(job, tmp_path / "alone"):
        expected, end = run_job(own, (stop or {}).get(own.seed))
        got = results[own.seed]
        assert (got.outcome, got.reason, got.epochs) == (end.outcome, end.reason, end.epochs)
        assert [report.epoch for report in reports[own.seed]] == [report.epoch for report in expected]
        for packed, alone in zip(
            [*(report.metrics for report in reports[own.seed]), got.metrics],
            [*(report.metrics for report in expected), end.metrics],
            strict=True,
        ):
            assert figures(packed) == pytest.approx(figures(alone), rel=rel)
        if end.outcome == "complete":
            weights, ours = (
                load_file(own.weights_path),
                load_file(tmp_path / "packed" / f"{own.seed}.safetensors"),
            )
            assert list(ours) == list(weights)
            for name, weight in weights.items():
                # of the tensor's scale; a bias before a norm has no gradient but rounding
                atol = rel * max(float(weight.double().abs().max()), 0.01)
                torch.testing.assert_close(ours[name], weight, rtol=rel, atol=atol)
    return results


def rows() -> list[object]:
    """Every block, layout, form, order and shortcut, the norms taking turns; a few every day.

    Each of them with every norm is compared step by step among the models.
    """
    found, norms = [], FIELDS["norm"].choices
    for block in BLOCKS:
        for number, fields in enumerate(settings_of_block(block)):
            used = {name: value for name, value in fields.items() if value is not None}
            words = [str(value) for name, value in used.items() if name not in ("blocks", "width")]
            turned = [norms[(number + turn) % len(norms)] for turn in range(len(norms))]
            norm = next(norm for norm in turned if makes_sense({**used, "norm": norm}))
            small = used["layout"] in ("cifar", "mlp") and number % 5 == 0
            marks = () if small else pytest.mark.slow
            found.append(pytest.param({**used, "norm": norm}, id="-".join([*words, norm]), marks=marks))
    return found


def makes_sense(architecture: Mapping[str, object]) -> bool:
    try:
        resolve_architecture(architecture)
    except ArchitectureError:
        return False
    return True


@pytest.mark.parametrize("architecture", rows())
def test_every_block_is_trained_packed_as_alone(architecture, in_double, packs, tmp_path, monkeypatch):
    # 4,096 of them take minutes
    monkeypatch.setattr("archsearch.models.network._HIDDEN_UNITS", 32)
    job = plain_job(architecture)
    if architecture["layout"] in ("imagenet", "vgg"):
        images = DataSettings(name="synthetic", samples=60, image_size=32, train_limit=40)
        job = replace(job, data=images)
    check_alone(job, tmp_path, rel=1e-9)
    assert packs == [len(SEEDS)]


def plain_job(architecture, training=None, **changes) -> Job:
    """Twenty steps of exactly this architecture on 40 images."""
    base = small_job(training={**TWENTY_STEPS, **(training or {})}, data={"train_limit": 40}, **changes)
    return replace(base, architecture=resolve_architecture(architecture))


SETTINGS = {
    "adam": {"optimizer": "adam", "learning_rate": 1e-3},
    "adamw, decay": {"optimizer": "adamw", "learning_rate": 1e-3, "weight_decay": 0.1},
    "nesterov": {"nesterov": True},
    "clipped": {"gradient_clip": 0.1},
    "clipped, some": {"gradient_clip": 2.0},
    "augmented": {"augmentation": "crop_flip_cutout_erase"},
    "smoothed": {"label_smoothing": 0.1, "schedule": "multi_step", "warmup_epochs": 1},
    "a smaller last batch": {"batch_size": 9},
}


@pytest.mark.parametrize("training", SETTINGS.values(), ids=SETTINGS)
def test_so_it_is_under_every_setting(training, in_double, packs, tmp_path):
    check_alone(plain_job({"depth": 8, "width": 4}, training), tmp_path, rel=1e-9)
    assert packs == [len(SEEDS)]


@pytest.mark.parametrize(
    "architecture",
    [
        {"depth": 8, "width": 4, "drop_path": 0.5},
        {"depth": 8, "width": 4, "shortcut": "dropout"},
        {"depth": 8, "width": 4, "initialization": "fixup", "norm": "none"},
    ],
    ids=str,
)
def test_draws_within_the_network_are_those_of_each_seed(architecture, in_double, packs, tmp_path):
    check_alone(plain_job(architecture), tmp_path, rel=1e-9)
    assert packs == [len(SEEDS)]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_one_is_stopped_and_the_others_go_on_without_it(optimizer, in_double, packs, tmp_path):
    job = plain_job({"depth": 8, "width": 4}, {"optimizer": optimizer, "learning_rate": 1e-3})
    results = check_alone(job, tmp_path, rel=1e-9, stop={4: 1, 3: 2})

    assert [results[seed].outcome for seed in SEEDS] == ["stopped", "stopped", "complete"]
    assert packs == [3, 2]


def test_measuring_how_long_an_image_takes_changes_no_weights(in_double, packs, tmp_path):
    job = replace(plain_job({"depth": 8, "width": 4}), measures=("latency_ms",))
    results = check_alone(job, tmp_path, rel=1e-9)

    assert all(result.metrics["latency_ms"] > 0 for result in results.values())
    assert packs == [len(SEEDS)]


def spoil(monkeypatch, seeds):
    """Give the networks of these seeds a weight that is not a number."""
    build = group.build_network

    def spoiling_build(*arguments):
        network = build(*arguments)
        if torch.initial_seed() in seeds:
            with torch.no_grad():
                network.stem[0].weight[0] = math.nan
        return network

    monkeypatch.setattr(group, "build_network", spoiling_build)


def test_one_that_is_not_a_number_fails_and_its_neighbours_are_as_without_it(
    monkeypatch, in_double, packs, tmp_path
):
    spoil(monkeypatch, {4})
    results = check_alone(plain_job({"depth": 8, "width": 4}), tmp_path, rel=1e-9)

    assert {seed: result.outcome for seed, result in results.items()} == {
        3: "complete",
        4: "failed",
        5: "complete",
    }
    assert results[4].reason == "not a number in epoch 1"
    assert packs == [3, 2]


def test_several_that_are_not_a_number_are_trained_again_alone(monkeypatch, packs):
    spoil(monkeypatch, {4, 5})
    _, results = run_pack(jobs_of(small_job()))

    assert results[3].outcome == "complete"
    assert results[3].note == ""
    for seed in (4, 5):
        assert (results[seed].outcome, results[seed].reason) == ("failed", "not a number in epoch 1")
        assert results[seed].note == "trained alone: several of the pack were not a number in epoch 1"


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("width", [3, 8])
def test_in_bfloat16_too_a_broken_one_spoils_no_other(monkeypatch, channels_last, width):
    # with 3 channels, channels last, oneDNN spreads it: then all are trained again, each alone
    spoil(monkeypatch, {4})
    compute = replace(small_job().compute, precision="bf16", channels_last=channels_last)
    job = small_job(architecture={"width": width, "shortcut": "projection"}, compute=compute)
    _, results = run_pack(jobs_of(job))

    assert [results[seed].outcome for seed in SEEDS] == ["complete", "failed", "complete"]
    assert results[4].reason == "not a number in epoch 1"


def test_what_cannot_be_packed_is_trained_one_by_one_and_says_so(monkeypatch, packs):
    class Strange(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.inner = network

        def forward(self, images):
            return self.inner(images)

    build = group.build_network
    monkeypatch.setattr(group, "build_network", lambda *arguments: Strange(build(*arguments)))
    job = small_job()
    reports, results = run_pack(jobs_of(job))

    assert packs == []
    for own in jobs_of(job):
        expected, end = run_job(own)
        result = results[own.seed]
        assert [figures(r.metrics) for r in reports[own.seed]] == [figures(r.metrics) for r in expected]
        assert figures(result.metrics) == figures(end.metrics)
        assert result.note == "trained alone: network is a Strange, which is not known to work packed"
        assert "packed_replicates" not in result.metrics


def test_a_pack_without_memory_is_trained_one_by_one(monkeypatch):
    def too_large(_):
        raise torch.OutOfMemoryError("no")

    monkeypatch.setattr(group, "PackedClassifier", too_large)
    _, results = run_pack(jobs_of(small_job()))

    assert {result.outcome for result in results.values()} == {"complete"}
    assert {result.note for result in results.values()} == {"trained alone: out of memory"}


def test_an_error_in_a_later_epoch_fails_those_under_way(monkeypatch):
    train_epoch = group.Group.train_epoch

    def break_down(self, epoch):
        if epoch == 1:
            raise ZeroDivisionError("no such luck")
        return train_epoch(self, epoch)

    monkeypatch.setattr(group.Group, "train_epoch", break_down)
    reports, results = run_pack(jobs_of(small_job()), stop={4: 1})

    assert results[4].outcome == "stopped"
    for seed in (3, 5):
        assert len(reports[seed]) == 1
        assert (results[seed].outcome, results[seed].epochs) == ("failed", 1)
        assert results[seed].reason.startswith("ZeroDivisionError: no such luck\n")


def test_weights_that_cannot_be_saved_fail_that_replicate_alone(tmp_path):
    jobs = jobs_of(small_job(), tmp_path)
    (tmp_path / "file").write_text("")
    jobs[1] = replace(jobs[1], weights_path=str(tmp_path / "file" / "weights.safetensors"))
    _, results = run_pack(jobs)

    assert [results[seed].outcome for seed in SEEDS] == ["complete", "failed", "complete"]
    assert (tmp_path / "5.safetensors").exists()


def test_time_and_memory_are_shares_of_the_pack():
    _, results = run_pack(jobs_of(small_job(data={"train_limit": 0})))

    shares = {seed: result.metrics for seed, result in results.items()}
    assert len({metrics["train_time_s"] for metrics in shares.values()}) == 1
    for metrics in shares.values():
        assert metrics["packed_replicates"] == 3
        assert metrics["images_per_s"] * metrics["train_time_s"] == pytest.approx(2 * 1078, rel=0.2)
