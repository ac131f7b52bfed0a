"""A network that several processes train together comes to what it does with one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from archsearch.architecture import BLOCKS, FIELDS, resolve_architecture
from archsearch.data import load_dataset
from archsearch.data.module import ImageDataModule
from archsearch.errors import ArchitectureError, DataError
from archsearch.execution.together import TrainTogether
from archsearch.training import Compute
from tests.models.contract import settings_of_block
from tests.training.conftest import figures, run_job, small_job
from tests.training.doubled import train_share_and_tell, train_share_in_double
from tests.training.test_packing import in_double  # noqa: F401

pytestmark = pytest.mark.usefixtures("own_fork_server")

RANKS = 3
# Batches of 9, shared equally, and a last one of 2, of which one rank gets nothing; 20 steps.
TWENTY_STEPS = {"epochs": 4, "batch_size": 9, "learning_rate": 0.02}
IMAGES = {"train_limit": 38}


@pytest.fixture(scope="module")
def shared():
    training = TrainTogether(RANKS)
    yield training
    training.close()


@pytest.fixture(scope="module")
def shared_in_double():
    training = TrainTogether(RANKS, train_share_in_double)
    yield training
    training.close()


def run(training, job, stop_after=None):
    reports = []
    generator = training(job)
    try:
        reports.append(next(generator))
        while True:
            reports.append(generator.send(len(reports) == stop_after))
    except StopIteration as end:
        return reports, end.value


def check_alike(training, job, tmp_path, *, rel):
    """All metrics and weights are those of one process."""
    paths = [tmp_path / f"{name}.safetensors" for name in ("alone", "shared")]
    alone = run_job(replace(job, weights_path=str(paths[0])))
    together = run(training, replace(job, weights_path=str(paths[1])))
    assert together[1].outcome == "complete", together[1].reason
    for got, expected in zip(figures(*together), figures(*alone), strict=True):
        assert got.keys() == expected.keys()
        for row in (got, expected):
            # watched on the first rank's share of a batch
            row.pop("gradient_ratio", None)
        assert got == pytest.approx(expected, rel=rel, abs=1e-12)
    weights, ours = map(load_file, paths)
    assert list(ours) == list(weights)
    for name, weight in weights.items():
        # of the tensor's scale; a bias before a norm has no gradient but rounding
        atol = rel * max(float(weight.double().abs().max()), 0.01)
        torch.testing.assert_close(ours[name], weight, rtol=rel, atol=atol)


def job_of(architecture, training=None, **changes):
    base = small_job(training={**TWENTY_STEPS, **(training or {})}, data=IMAGES, **changes)
    try:
        return replace(base, architecture=resolve_architecture(architecture))
    except ArchitectureError:
        pytest.skip("this norm makes no sense here")


def rows():
    """Every block, order and shortcut, under each norm in turn; two of them every day.

    Without dropout, which each rank draws for itself.
    """
    norms, found = FIELDS["norm"].choices, []
    for place, block in enumerate(BLOCKS):
        settings = [
            {name: value for name, value in fields.items() if value is not None}
            for fields in settings_of_block(block)
            if fields["layout"] in ("cifar", "mlp") and fields["shortcut"] != "dropout"
        ]
        for number, used in enumerate(settings):
            norm = norms[(place + number) % len(norms)]
            words = [str(value) for name, value in used.items() if name not in ("blocks", "width")]
            marks = () if place < 2 and number == 0 else pytest.mark.slow
            found.append(pytest.param({**used, "norm": norm}, id="-".join([*words, norm]), marks=marks))
    return found


@pytest.mark.parametrize("architecture", rows())
def test_every_block_comes_to_the_weights_of_one_process(
    architecture,
    in_double,  # noqa: F811
    shared_in_double,
    tmp_path,
):
    check_alike(shared_in_double, job_of(architecture), tmp_path, rel=1e-9)


SETTINGS = {
    "augmented": {"augmentation": "crop_flip_cutout_erase"},
    "adamw": {"optimizer": "adamw", "learning_rate": 1e-3, "weight_decay": 0.1},
    "clipped": {"gradient_clip": 0.1},
    "smoothed": {"label_smoothing": 0.1, "schedule": "multi_step", "warmup_epochs": 1},
    "computed again": {"gradient_checkpointing": True},
}


@pytest.mark.parametrize(
    "training",
    [
        pytest.param(training, id=name, marks=() if name == "augmented" else pytest.mark.slow)
        for name, training in SETTINGS.items()
    ],
)
def test_so_it_is_under_every_setting(
    training,
    in_double,  # noqa: F811
    shared_in_double,
    tmp_path,
):
    check_alike(shared_in_double, job_of({"depth": 8, "width": 4}, training), tmp_path, rel=1e-9)


@pytest.mark.parametrize("compute", [Compute(), Compute(channels_last=True)], ids=["plain", "channels last"])
def test_in_float32_it_is_the_same_up_to_rounding(compute, shared, tmp_path):
    # All images: more batches to evaluate on than there are ranks.
    training = {"batch_size": 50, "augmentation": "crop_flip", "epochs": 1}
    job = replace(small_job(training=training, data={"train_limit": 0}), compute=compute)

    check_alike(shared, job, tmp_path, rel=2e-3)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_two_gpus_come_to_the_weights_of_one(norm, tmp_path):
    job = small_job(architecture={"norm": norm}, training={"batch_size": 50, "augmentation": "crop_flip"})
    training = TrainTogether(2)
    try:
        check_alike(training, replace(job, compute=Compute(device="cuda")), tmp_path, rel=1e-2)
    finally:
        training.close()


def test_in_bfloat16_it_is_nearly_the_same(shared):
    job = replace(small_job(), compute=Compute(precision="bf16", channels_last=True))
    alone, together = run_job(job)[1], run(shared, job)[1]

    assert together.outcome == "complete", together.reason
    assert together.metrics["val_loss"] == pytest.approx(alone.metrics["val_loss"], rel=0.05)


@pytest.mark.parametrize("architecture", [{}, {"drop_path": 0.5}, {"shortcut": "dropout"}], ids=str)
def test_all_ranks_end_with_the_same_bits_and_a_second_time_with_the_same_again(architecture, tmp_path):
    training = TrainTogether(2, train_share_and_tell)
    try:
        for attempt in ("first", "second"):
            job = small_job(architecture=architecture, weights_path=str(tmp_path / attempt))
            assert run(training, job)[1].outcome == "complete"
    finally:
        training.close()

    saved = (tmp_path / "first").read_bytes()
    assert (tmp_path / "second").read_bytes() == saved
    assert sorted(path.name for path in tmp_path.glob("first.by-*")) == ["first.by-0"]
    copies = [load_file(tmp_path / f"first.of-{rank}") for rank in range(2)]
    # what they draw differs: else images would be dropped in pairs
    assert copies[0]["seed"] != copies[1]["seed"]
    for name, tensor in load_file(tmp_path / "first").items():
        assert torch.equal(copies[0][name], tensor), name
        assert torch.equal(copies[1][name], tensor), name


def test_other_draws_in_drop_path_make_no_great_difference(shared):
    job = small_job(architecture={"drop_path": 0.5})
    alone, together = run_job(job)[0], run(shared, job)[0]

    assert together[0].metrics["train_loss"] != pytest.approx(alone[0].metrics["train_loss"], rel=1e-6)
    assert together[1].metrics["train_loss"] == pytest.approx(alone[1].metrics["train_loss"], rel=0.2)


def test_a_loss_that_is_not_a_number_ends_all_ranks_alike_and_they_go_on(shared):
    broken = small_job(architecture={"norm": "none"}, training={"learning_rate": 1e6, "schedule": "constant"})
    _, failed = run(shared, broken)
    _, after = run(shared, small_job())

    assert (failed.outcome, failed.reason, failed.epochs) == ("failed", "not a number in epoch 1", 0)
    assert after.outcome == "complete"


def test_a_stop_after_an_epoch_ends_all_ranks_with_their_measures(shared):
    reports, result = run(shared, small_job(training={"epochs": 50}), stop_after=2)

    assert (result.outcome, result.reason, result.epochs) == ("stopped", "asked to stop after 2 epochs", 2)
    assert result.metrics["val_loss"] == reports[-1].metrics["val_loss"]
    assert len(reports) == 2


def test_what_only_one_rank_does_is_done_once_and_only_its_failure_counts(shared, tmp_path):
    job = small_job(measures=("val_macro_f1", "latency_ms"), weights_path=str(tmp_path / "weights"))
    _, result = run(shared, job)
    (tmp_path / "file").touch()
    _, failed = run(shared, replace(job, weights_path=str(tmp_path / "file" / "weights")))

    assert set(result.metrics) >= {"val_macro_f1", "latency_ms", "train_error", "images_per_s"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "weights"]
    assert failed.outcome == "failed"
    assert "NotADirectoryError" in failed.reason or "FileExistsError" in failed.reason


def test_shares_make_up_the_batches_of_one_process():
    settings = small_job(training={"batch_size": 9, "augmentation": "crop_flip_erase"}, data=IMAGES)
    data = ImageDataModule(load_dataset(settings.data), settings.training, seed=5)
    whole = list(data.train_dataloader())
    shares = [list(data.train_dataloader().shared(rank, RANKS)) for rank in range(RANKS)]

    assert [[len(labels) for _, labels in share] for share in shares] == [
        [3, 3, 3, 3, 1],
        [3, 3, 3, 3, 1],
        [3, 3, 3, 3, 0],
    ]
    for number, (images, labels) in enumerate(whole):
        for rank in range(RANKS):
            assert torch.equal(shares[rank][number][0], images[rank::RANKS])
            assert torch.equal(shares[rank][number][1], labels[rank::RANKS])


def test_more_devices_than_images_in_a_batch_are_refused():
    settings = small_job(training={"batch_size": 2})
    data = ImageDataModule(load_dataset(settings.data), settings.training, seed=5)

    with pytest.raises(
        DataError, match=r"training\.batch_size: must leave an image for each of 3 devices, got 2"
    ):
        data.train_dataloader().shared(0, RANKS)
