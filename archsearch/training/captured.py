"""Steps of training as a CUDA graph: recorded once, then launched whole.

The kernels of a small network take the processor longer to launch than the GPU to compute; a graph is one
launch for all of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from archsearch.data.module import Batch
from archsearch.training.failure import describe_failure
from archsearch.training.module import Classifier
from archsearch.training.step import TrainingStep

# As many as torch's own examples make: libraries choose kernels, the optimizer makes its state.
_WARM_UP_STEPS = 3
# Modules of other packages may do something else at each step, which a recording would not.
_KNOWN_PACKAGES = ("archsearch", "torch")


def build_training_step(fabric: Fabric, module: Classifier, *, captured: bool) -> TrainingStep:
    """Build the step of a module; captured where that is asked for and the device is a CUDA one."""
    kind = CapturedStep if captured and fabric.device.type == "cuda" else TrainingStep
    return kind(fabric, module)


@dataclass(frozen=True, eq=False)
class Recording:
    """A recorded step: what it reads its batch from, and what it writes its findings to, at each replay."""

    graph: Any
    batch: Batch
    found: dict[str, Tensor]

    def fits(self, batch: Batch) -> bool:
        """Whether a batch has the recorded shapes."""
        return all(mine.shape == other.shape for mine, other in zip(self.batch, batch, strict=True))

    def replay(self, batch: Batch) -> dict[str, Tensor]:
        """Make the recorded step with other images."""
        for mine, other in zip(self.batch, batch, strict=True):
            mine.copy_(other)
        self.graph.replay()
        # the next replay overwrites its own
        return {name: value.clone() for name, value in self.found.items()}


class CapturedStep(TrainingStep):
    """A step that is recorded at its first call: forward, loss, backward, clipping and optimizer.

    The schedule stays outside and writes each rate into a tensor that the recording reads. A batch of another
    shape, such as the smaller last one, takes an eager step with the same optimizer's state. Results equal
    eager ones up to rounding, random numbers included: the recording continues the generators from where they
    are, also after they have been seeded anew. What cannot be recorded is trained eagerly, and `note` says
    why.

    The steps that warm up for a recording leave no trace, and the last of them shows what waits for the GPU.
    A recording in which that happens is cut off by the driver, and leaves torch's allocator where it cannot
    be brought back from, so that no other is begun in this process.
    """

    _cut_off: ClassVar[Any] = None

    def __init__(self, fabric: Fabric, module: Classifier) -> None:
        super().__init__(fabric, module)
        self.note = _find_obstacle(module)
        self._recording: Recording | None = None
        for group in self.optimizer.param_groups:
            group["lr"] = torch.tensor(group["lr"], device=fabric.device)

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Return what `training_step` returns, on the device and detached; nothing waits for the device."""
        if self._recording is None and not self.note:
            self._recording = self._try_to_record(batch)
        if self._recording is None or not self._recording.fits(batch):
            return super().__call__(batch)
        found = self._recording.replay(batch)
        self.scheduler.step()
        return found

    def _try_to_record(self, batch: Batch) -> Recording | None:
        own = self._module.generators
        try:
            with undone(self._module, self.optimizer, [_default_generator(), *own]):
                before = [generator.get_state() for generator in own]
                self._warm_up(batch)
                # each one that is registered costs two kernels a step
                drawing = [
                    generator
                    for generator, state in zip(own, before, strict=True)
                    if not torch.equal(generator.get_state(), state)
                ]
                return self._record(batch, drawing)
        # whatever it is: if it is no fault of recording, the eager step meets it again
        except Exception as error:  # noqa: BLE001
            self.note = f"steps not captured: {describe_failure(error).splitlines()[0]}"
            return None

    def _warm_up(self, batch: Batch) -> None:
        """Make some steps on a stream of their own, as a recording does."""
        here, side = torch.cuda.current_stream(), _side_stream()
        side.wait_stream(here)
        try:
            with torch.cuda.stream(side):
                for _ in range(_WARM_UP_STEPS - 1):
                    self._advance(batch)
                with _refuse_waiting():
                    self._advance(batch)
        finally:
            here.wait_stream(side)

    def _record(self, batch: Batch, drawing: Sequence[torch.Generator]) -> Recording:
        graph = torch.cuda.CUDAGraph()
        for generator in drawing:
            graph.register_generator_state(generator)
        images, labels = batch
        recorded = (images.clone(), labels.clone())
        self._allow_capture(True)
        try:
            # the outer one, as torch leaves the recording's stream in place where it is cut off
            with (
                torch.cuda.stream(torch.cuda.current_stream()),
                torch.cuda.graph(graph, stream=_side_stream()),
            ):
                found = self._advance(recorded)
        except Exception:
            if not _has_ended(graph):
                # kept, for the allocator goes on referring to it
                CapturedStep._cut_off = graph
                for generator in (_default_generator(), *drawing):
                    # it takes itself to be recorded still, and would refuse to draw
                    generator.graphsafe_set_state(torch.Generator(generator.device))
            raise
        finally:
            self._allow_capture(False)
        return Recording(graph, recorded, found)

    def _allow_capture(self, allowed: bool) -> None:
        # adam asks for this key; it warns where it is set and nothing is captured
        for group in self.optimizer.param_groups:
            group["capturable"] = allowed


@cache
def _side_stream() -> torch.cuda.Stream:
    """One for all recordings of a process, as libraries keep a work space for each stream that they see."""
    return torch.cuda.Stream()  # type: ignore[no-untyped-call]


def _default_generator() -> torch.Generator:
    return torch.cuda.default_generators[torch.cuda.current_device()]


def _has_ended(graph: Any) -> bool:
    try:
        graph.pool()
    except RuntimeError:
        return False
    return True


def _find_obstacle(module: Classifier) -> str:
    if CapturedStep._cut_off is not None:
        return "steps not captured: an earlier recording of this process was cut off"
    if module.settings.gradient_checkpointing:
        return "steps not captured: gradient_checkpointing has the host set random numbers back"
    for part in module.network.modules():
        if type(part).__module__.partition(".")[0] not in _KNOWN_PACKAGES:
            return f"steps not captured: {type(part).__name__} is not known to do the same at every step"
    return ""


@contextmanager
def undone(module: nn.Module, optimizer: Optimizer, generators: Sequence[torch.Generator]) -> Iterator[None]:
    """Undo afterwards what happens to weights, statistics, the optimizer's state and random numbers.

    State that the optimizer makes meanwhile stays, as zeros, which is what sgd, adam and adamw begin with.
    """
    tensors = [*module.parameters(), *module.buffers()]
    values = [tensor.detach().clone() for tensor in tensors]
    states = {tensor: tensor.clone() for tensor in _list_state(optimizer)}
    draws = [generator.get_state() for generator in generators]
    try:
        yield
    finally:
        optimizer.zero_grad()
        with torch.no_grad():
            for tensor, value in zip(tensors, values, strict=True):
                tensor.copy_(value)
            for tensor in _list_state(optimizer):
                if tensor in states:
                    tensor.copy_(states[tensor])
                else:
                    tensor.zero_()
        for generator, draw in zip(generators, draws, strict=True):
            generator.set_state(draw)


def _list_state(optimizer: Optimizer) -> list[Tensor]:
    return [
        value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)
    ]


@contextmanager
def _refuse_waiting() -> Iterator[None]:
    """Raise where the host waits for the GPU."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        # torch says, once, that it does not see all of it
        warnings.simplefilter("ignore")
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
