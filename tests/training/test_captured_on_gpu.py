"""Steps recorded as a CUDA graph, on a GPU."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from archsearch.data import load_dataset
from archsearch.data.module import ImageDataModule
from archsearch.training import Compute, captured
from archsearch.training.captured import CapturedStep, build_training_step
from archsearch.training.evaluation import build_fabric
from archsearch.training.step import TrainingStep
from tests.devices import needs_cuda
from tests.training.conftest import run_job, small_job
from tests.training.test_captured import OPTIMIZERS, batches, build, state
from tests.training.test_packing import run_pack


def check_captured(precision="32", *, packed=1, architecture=None, rtol=1e-3, **training):
    """Captured steps on a GPU, the last one smaller, against eager ones."""
    architecture = {"drop_path": 0.3} | (architecture or {})
    runs = []
    for capture in (False, True):
        module = build("cuda", packed=packed, architecture=architecture, **training)
        step = build_training_step(build_fabric("cuda", precision), module, captured=capture)
        found = [step(batch) for batch in batches("cuda", packed=packed)]
        runs.append((found, state(module, step), step))
    (eager, expected, _), (replayed, got, step) = runs

    assert step.note == ""
    assert step._recording is not None
    for mine, theirs in zip(replayed, eager, strict=True):
        torch.testing.assert_close(mine["loss"], theirs["loss"], rtol=rtol, atol=rtol)
    for mine, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=rtol, atol=rtol)


@needs_cuda
@pytest.mark.parametrize("packed", [1, 3])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_captured_steps_train_as_eager_ones_do(optimizer, packed):
    # adam divides by gradients, and rounding with them
    rtol = 1e-3 if optimizer == "sgd" else 2e-2
    rate = 0.05 if optimizer == "sgd" else 0.001
    check_captured(packed=packed, optimizer=optimizer, learning_rate=rate, gradient_clip=0.5, rtol=rtol)


@needs_cuda
@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
def test_captured_steps_follow_the_schedule(schedule):
    module = build("cuda", schedule=schedule)
    step = build_training_step(build_fabric("cuda", "32"), module, captured=True)
    eager = TrainingStep(build_fabric("cpu", "32"), build(schedule=schedule))
    for mine, theirs in zip(batches("cuda"), batches(), strict=True):
        step(mine)
        eager(theirs)
        rate = step.optimizer.param_groups[0]["lr"].item()
        assert rate == pytest.approx(eager.optimizer.param_groups[0]["lr"], rel=1e-6)


@needs_cuda
def test_captured_steps_compute_in_bfloat16():
    check_captured("bf16", rtol=3e-2)


@needs_cuda
def test_captured_dropout_draws_what_eager_dropout_does():
    check_captured(architecture={"shortcut": "dropout"})


@needs_cuda
@pytest.mark.parametrize("packed", [1, 3])
def test_captured_draws_begin_anew_with_their_seed(packed):
    module = build("cuda", packed=packed, architecture={"drop_path": 0.5})
    step = build_training_step(build_fabric("cuda", "32"), module, captured=True)
    batch = next(batches("cuda", packed=packed))
    step(batch)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    losses = []
    for seed in (11, 11, 12):
        module.load_state_dict(before)
        module.seed_draws([seed + k for k in range(packed)])
        losses.append(step(batch)["loss"].item())

    assert step._recording is not None
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0] != pytest.approx(losses[2], rel=1e-5)


class Waiting(nn.Module):
    """Reads a value in the middle of a step."""

    def forward(self, x):
        return x * (1.0 if x.sum().item() > -1e30 else 0.0)


@needs_cuda
def test_a_step_that_waits_for_the_gpu_is_found_before_it_is_recorded(monkeypatch):
    monkeypatch.setattr(captured, "_KNOWN_PACKAGES", ("archsearch", "torch", "tests"))
    waiting = build("cuda")
    waiting.network.stem = nn.Sequential(Waiting(), waiting.network.stem)
    step = build_training_step(build_fabric("cuda", "32"), waiting, captured=True)
    losses = [step(batch)["loss"].item() for batch in batches("cuda")]

    assert "synchroniz" in step.note
    assert CapturedStep._cut_off is None
    expected = TrainingStep(build_fabric("cuda", "32"), build("cuda"))
    assert losses == pytest.approx([expected(batch)["loss"].item() for batch in batches("cuda")], rel=1e-3)


CUT_OFF = """
import contextlib
import torch
from torch import nn
from archsearch.training import captured
from archsearch.training.captured import CapturedStep
from archsearch.training.evaluation import build_fabric
from tests.training.test_captured import batches, build
from tests.training.test_captured_on_gpu import Waiting

captured._KNOWN_PACKAGES = ("archsearch", "torch", "tests")
captured._refuse_waiting = contextlib.nullcontext
for packed in (1, 2):
    module = build("cuda", packed=packed, architecture={"drop_path": 0.3})
    network = module.network if packed == 1 else module.network.network
    network.stem = nn.Sequential(Waiting(), network.stem)
    step = CapturedStep(build_fabric("cuda", "32"), module)
    losses = [step(batch)["loss"].item() for batch in batches("cuda", packed=packed)]
    print(step.note != "", CapturedStep._cut_off is not None, all(loss == loss for loss in losses))
torch.manual_seed(1)
print(torch.rand(2, device="cuda").shape == (2,), not torch.cuda.is_current_stream_capturing())
"""


@needs_cuda
def test_a_recording_that_is_cut_off_leaves_a_process_that_trains_on():
    done = subprocess.run([sys.executable, "-c", CUT_OFF], capture_output=True, text=True, timeout=250)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["True True True", "True True True", "True True"]


@needs_cuda
def test_nothing_waits_for_the_gpu_from_batch_to_batch():
    job = small_job(training={"augmentation": "crop_flip_cutout_erase", "batch_size": 32})
    module = build("cuda", gradient_clip=1.0)
    step = TrainingStep(build_fabric("cuda", "32"), module)
    data = ImageDataModule(load_dataset(job.data), job.training, 0, "cuda").train_dataloader()
    loader = iter(data)
    # what is done once an epoch is done with the first batch
    images, labels = next(loader)
    with captured._refuse_waiting():
        for images, labels in loader:
            step((images.expand(-1, 3, -1, -1), labels % 5))
    assert torch.isfinite(images).all()


@needs_cuda
@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_captured_job_reports_what_an_eager_one_does(precision, tmp_path):
    eager = Compute(device="cuda", precision=precision, channels_last=precision == "bf16")
    job = small_job(training={"epochs": 2, "gradient_clip": 1.0}, compute=eager)
    expected, _ = run_job(job)

    reports, result = run_job(replace(job, compute=replace(eager, captured=True)))

    assert (result.outcome, result.note) == ("complete", "")
    for mine, theirs in zip(reports, expected, strict=True):
        assert mine.metrics["train_loss"] == pytest.approx(theirs.metrics["train_loss"], rel=0.05)


@needs_cuda
def test_the_memory_of_a_recording_is_returned_with_the_job():
    job = small_job(
        training={"epochs": 1, "batch_size": 128},
        data={"name": "synthetic", "samples": 400, "train_limit": 0},
        architecture={"width": 64},
        compute=Compute(device="cuda", captured=True),
    )

    _, result = run_job(job)

    assert (result.outcome, result.note) == ("complete", "")
    assert result.metrics["peak_memory_mib"] > 400
    # what is left are the libraries' own work spaces
    assert torch.cuda.memory_reserved() < 300 * 2**20


@needs_cuda
def test_a_captured_pack_goes_on_when_one_of_it_is_stopped():
    compute = Compute(device="cuda", captured=True, pack=3)
    jobs = [replace(small_job(training={"epochs": 3}, compute=compute), seed=seed) for seed in (1, 2, 3)]

    _, results = run_pack(jobs, stop={2: 1})

    assert {seed: result.outcome for seed, result in results.items()} == {
        1: "complete",
        2: "stopped",
        3: "complete",
    }
    assert all(result.note == "" for result in results.values())
    alone = run_job(replace(jobs[0], compute=replace(compute, pack=1)))[1]
    assert results[1].metrics["train_loss"] == pytest.approx(alone.metrics["train_loss"], rel=0.05)
