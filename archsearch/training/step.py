"""A step of training: forward, backward, clipping, optimizer, schedule."""

from __future__ import annotations

from lightning_fabric import Fabric
from torch import Tensor

from archsearch.data.module import Batch
from archsearch.training.module import Classifier
from archsearch.training.signals import Profiler


class TrainingStep:
    """Trains a module by one batch a call, with its own optimizer and schedule.

    Args:
        fabric: Device, precision and backward pass.
        module: On the device; in training mode when it is called.

    Attributes:
        note: Why steps are made in another way than was asked for; empty where they are not.
    """

    note = ""

    def __init__(self, fabric: Fabric, module: Classifier) -> None:
        self._fabric = fabric
        self._module = module
        configured = module.configure_optimizers()
        self.optimizer = configured["optimizer"]
        self.scheduler = configured["lr_scheduler"]["scheduler"]

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Return what `training_step` returns, on the device and detached; nothing waits for the device."""
        found = self._advance(batch)
        self.scheduler.step()
        return found

    def watched(self, batch: Batch, profiler: Profiler) -> dict[str, Tensor]:
        """Do the same, never as a captured step, while a profiler looks at it."""
        with profiler.watching(self.optimizer):
            return TrainingStep.__call__(self, batch)

    def skip(self, steps: int) -> None:
        """Bring the schedule to where it is after so many steps."""
        # the second figure serves a warning alone, of a schedule that moves before the optimizer
        at = {"last_epoch": steps - 1, "_step_count": steps + 1}
        self.scheduler.load_state_dict({**self.scheduler.state_dict(), **at})
        self.scheduler.step()

    def _advance(self, batch: Batch) -> dict[str, Tensor]:
        """Do all of it but the schedule, which computes on the host."""
        with self._fabric.autocast():
            step = self._module.training_step(batch, 0)
        self._fabric.backward(step["loss"])
        if self._module.settings.gradient_clip:
            self._module.limit_gradients(self._module.settings.gradient_clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return {name: value.detach() for name, value in step.items()}
