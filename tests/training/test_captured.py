"""Steps recorded as a CUDA graph: what surrounds the recording."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from archsearch.architecture import resolve_architecture
from archsearch.models import build_network
from archsearch.study.settings import TrainingSettings
from archsearch.training import captured
from archsearch.training.captured import CapturedStep, Recording, build_training_step, undone
from archsearch.training.evaluation import build_fabric
from archsearch.training.module import Classifier
from archsearch.training.packing import PackedClassifier
from archsearch.training.step import TrainingStep
from tests.training.conftest import run_job, small_job

OPTIMIZERS = ("sgd", "adam", "adamw")


def build(device="cpu", *, packed=1, architecture=None, **training) -> Classifier:
    """A small network, or several packed, in training mode; the same at every call."""
    torch.manual_seed(7)
    settings = TrainingSettings(**({"epochs": 1, "batch_size": 16, "learning_rate": 0.05} | training))
    fields = {"depth": 8, "width": 4} | (architecture or {})
    modules = [
        Classifier(build_network(resolve_architecture(fields), (3, 8, 8), 5), settings, steps_per_epoch=6)
        for _ in range(packed)
    ]
    module = modules[0] if packed == 1 else PackedClassifier([module.to(device) for module in modules])
    module.to(device).train()
    module.seed_draws(list(range(packed)))
    return module


def batches(device="cpu", *, packed=1, sizes=(16, 16, 16, 16, 7)):
    generator = torch.Generator().manual_seed(1)
    for size in sizes:
        images = torch.randn(size, 3 * packed, 8, 8, generator=generator)
        labels = torch.randint(0, 5, (size,) if packed == 1 else (size, packed), generator=generator)
        yield images.to(device), labels.to(device)


def state(module, step) -> list[torch.Tensor]:
    """Weights, statistics and the optimizer's state."""
    return [
        *(t.detach().clone() for t in module.state_dict().values()),
        *captured._list_state(step.optimizer),
    ]


@dataclass
class Replayed:
    """A graph as a processor can have one: the step made again, from and into the recorded tensors."""

    step: TrainingStep
    batch: tuple[torch.Tensor, torch.Tensor]
    found: dict[str, torch.Tensor]
    replays: int = 0

    def replay(self):
        self.replays += 1
        for name, value in self.step._advance(self.batch).items():
            self.found[name].copy_(value)


@pytest.fixture
def recorded(monkeypatch):
    """Recordings without CUDA; all that are made."""
    made = []

    def record(self, batch):
        with undone(self._module, self.optimizer, [torch.default_generator, *self._module.generators]):
            found = self._advance(batch)
        images, labels = batch
        recording = Recording(None, (torch.zeros_like(images), torch.zeros_like(labels)), found)
        made.append(Replayed(self, recording.batch, found))
        return replace(recording, graph=made[-1])

    monkeypatch.setattr(CapturedStep, "_try_to_record", record)
    return made


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("packed", [1, 3])
def test_replayed_steps_train_as_eager_ones_do(recorded, optimizer, packed):
    architecture = {"drop_path": 0.3}
    settings = {"optimizer": optimizer, "gradient_clip": 0.5, "schedule": "one_cycle"}
    eager = build(packed=packed, architecture=architecture, **settings)
    step = TrainingStep(build_fabric("cpu", "32"), eager)
    expected = [step(batch) for batch in batches(packed=packed)]
    again = build(packed=packed, architecture=architecture, **settings)
    replaying = CapturedStep(build_fabric("cpu", "32"), again)

    found = [replaying(batch) for batch in batches(packed=packed)]

    # the smaller last batch takes the eager step
    assert [recording.replays for recording in recorded] == [4]
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.keys() == theirs.keys()
        torch.testing.assert_close(mine["loss"], theirs["loss"])
        assert torch.equal(mine["predictions"], theirs["predictions"])
    for mine, theirs in zip(state(again, replaying), state(eager, step), strict=True):
        torch.testing.assert_close(mine, theirs)
    assert replaying.optimizer.param_groups[0]["lr"].item() == pytest.approx(
        step.optimizer.param_groups[0]["lr"]
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("begun", [False, True])
def test_what_warms_up_for_a_recording_leaves_no_trace(optimizer, begun):
    module = build(optimizer=optimizer, architecture={"drop_path": 0.3})
    step = TrainingStep(build_fabric("cpu", "32"), module)
    other = build(optimizer=optimizer, architecture={"drop_path": 0.3})
    untouched = TrainingStep(build_fabric("cpu", "32"), other)
    for one in (step, untouched):
        torch.manual_seed(3)
        if begun:
            one(next(batches()))
    draws = torch.get_rng_state()

    with undone(module, step.optimizer, [torch.default_generator]):
        for batch in batches():
            step._advance(batch)

    assert torch.equal(torch.get_rng_state(), draws)
    assert all(parameter.grad is None for parameter in module.parameters())
    for one in (step, untouched):
        torch.set_rng_state(draws)
        one(next(batches()))
    for mine, theirs in zip(state(module, step), state(other, untouched), strict=True):
        assert torch.equal(mine, theirs)


def test_it_is_undone_where_it_fails_too():
    module = build()
    step = TrainingStep(build_fabric("cpu", "32"), module)
    before = state(module, step)

    def fail():
        with undone(module, step.optimizer, []):
            step._advance(next(batches()))
            module.training_step(next(batches()), 0)["loss"].backward()
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()

    assert all(parameter.grad is None for parameter in module.parameters())
    for mine, theirs in zip(module.state_dict().values(), before, strict=True):
        assert torch.equal(mine, theirs)


def test_what_cannot_be_recorded_is_trained_eagerly_and_says_why(monkeypatch):
    def break_down(self, batch):
        self._advance(batch)
        raise RuntimeError("called a synchronizing CUDA operation")

    monkeypatch.setattr(captured, "_default_generator", lambda: torch.default_generator)
    monkeypatch.setattr(CapturedStep, "_warm_up", break_down)
    eager, other = build(), build()
    step = TrainingStep(build_fabric("cpu", "32"), eager)
    falling_back = CapturedStep(build_fabric("cpu", "32"), other)

    for mine, theirs in zip(batches(), batches(), strict=True):
        torch.testing.assert_close(falling_back(mine)["loss"], step(theirs)["loss"])

    assert falling_back.note == "steps not captured: RuntimeError: called a synchronizing CUDA operation"


class Whimsical(nn.Module):
    """A plugin's part, which may do something else at each step."""

    def forward(self, x):
        return x


def test_a_plugins_own_module_is_not_recorded():
    module = build()
    module.network.add_module("plugin", Whimsical())

    step = CapturedStep(build_fabric("cpu", "32"), module)
    step(next(batches()))

    assert step.note == "steps not captured: Whimsical is not known to do the same at every step"


def test_what_is_computed_again_is_not_recorded():
    step = CapturedStep(build_fabric("cpu", "32"), build(gradient_checkpointing=True))

    assert step.note == "steps not captured: gradient_checkpointing has the host set random numbers back"


def test_after_a_recording_that_was_cut_off_no_other_is_begun(monkeypatch):
    monkeypatch.setattr(CapturedStep, "_cut_off", object())

    assert CapturedStep(build_fabric("cpu", "32"), build()).note.endswith("of this process was cut off")


def test_only_on_cuda_steps_are_captured():
    assert type(build_training_step(build_fabric("cpu", "32"), build(), captured=True)) is TrainingStep


def test_the_note_reaches_the_result(monkeypatch):
    monkeypatch.setattr(TrainingStep, "note", "steps not captured: because")

    _, result = run_job(small_job(training={"epochs": 1}))

    assert (result.outcome, result.note) == ("complete", "steps not captured: because")
