"""What goes into a training and what comes out of it, as plain values that travel between processes.

A `Job` holds everything that is needed to train one replicate, and nothing else; a `Pack` holds several that
are trained as one network. An `EpochReport` goes up after each epoch; the `Result` ends the replicate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from archsearch.architecture import Architecture
from archsearch.study.settings import DataSettings, TrainingSettings

Outcome = Literal["complete", "stopped", "failed", "lost", "paused"]

Replicate = tuple[int, int]
"""Number of the trial, and seed."""


TRAINED_ALONE = "trained alone"
"""How the note of a replicate begins that was given to a worker in a pack, and trained by itself."""


@dataclass(frozen=True)
class Compute:
    """The arithmetic shared by all trials of a study, decided once, so that depths compare fairly.

    Attributes:
        precision: ``32`` or ``bf16`` (autocast).
        channels_last: Whether images and convolutions use the channels-last memory format.
        threads: Threads of one worker on a CPU.
        device: ``cpu``, ``cuda`` or ``mps``.
        reason: Why these were chosen, one sentence.
        pack: Replicates of a trial that are trained as one network, at most; 1 trains each alone.
        captured: Whether steps are recorded as a CUDA graph; on CUDA only.
        workers_per_device: Workers that share a GPU, where their number is left to be chosen.
    """

    precision: Literal["32", "bf16"] = "32"
    channels_last: bool = False
    threads: int = 1
    device: Literal["cpu", "cuda", "mps"] = "cpu"
    reason: str = ""
    # journals written before there were these lack them
    pack: int = 1
    captured: bool = False
    workers_per_device: int = 1


@dataclass(frozen=True)
class Checkpointing:
    """Where a replicate's state stands between two epochs: a training goes on from what it finds there.

    Attributes:
        path: The file; whoever submits the job removes it when the replicate has ended.
        every_s: Seconds of training between two states, at least; 0 writes one after each epoch. See
            `archsearch.training.checkpointing` for the whole rule.
    """

    path: str
    every_s: float = 10.0


@dataclass(frozen=True)
class Job:
    """A replicate on its way to a worker.

    Attributes:
        trial: Number of the trial, unique within its study.
        seed: Seed of initialisation, order of the images and augmentation.
        measures: Measures beyond the usual ones: ``val_macro_f1``, ``val_<plugin's>``, ``latency_ms``,
            ``latency_onnx_ms``.
        weights_path: Where the trained weights are saved (safetensors); None saves none.
        plugins: Packages whose blocks, data sources and metrics may be loaded.
        checkpointing: None keeps no state between epochs.
        pause_after: Epochs after which the training pauses: its state is written, and a job that allows more
            epochs goes on from it. None trains to the end. Of a pack, all pause together.
    """

    trial: int
    seed: int
    architecture: Architecture
    training: TrainingSettings
    data: DataSettings
    compute: Compute
    measures: tuple[str, ...] = ()
    weights_path: str | None = None
    plugins: tuple[str, ...] = ()
    checkpointing: Checkpointing | None = None
    pause_after: int | None = None

    @property
    def replicate(self) -> Replicate:
        """Trial and seed."""
        return (self.trial, self.seed)


@dataclass(frozen=True)
class Pack:
    """Jobs that differ in their seed and in where they save alone, to be trained as one network."""

    jobs: tuple[Job, ...]

    @property
    def replicates(self) -> tuple[Replicate, ...]:
        """Trial and seed of each."""
        return tuple(job.replicate for job in self.jobs)

    def without(self, replicate: Replicate) -> Pack:
        """Leave one out."""
        return Pack(tuple(job for job in self.jobs if job.replicate != replicate))


def as_pack(work: Job | Pack) -> Pack:
    """See a single job as a pack of one."""
    return work if isinstance(work, Pack) else Pack((work,))


@dataclass(frozen=True)
class Seat:
    """A rank's place among the processes that train a job together, all on one machine.

    Attributes:
        rank: From 0; rank 0 speaks for all and saves the weights.
        ranks: How many there are.
        port: Where, on the loopback address, the store listens through which they find each other.
    """

    rank: int
    ranks: int
    port: int


@dataclass(frozen=True)
class EpochReport:
    """What one epoch (counted from 0) showed: losses, accuracies as fractions, images per second.

    Attributes:
        profile: Signals along the depth at the epoch's first step, see `archsearch.training.signals`; at that
            of epoch 0 the network is as it was initialised. Empty where the epoch was not watched.
        recalled: Whether the epoch was trained by an earlier attempt, from whose state this one goes on. It
            is reported again, as nobody may have heard of it.
    """

    trial: int
    seed: int
    epoch: int
    metrics: dict[str, float]
    profile: dict[str, tuple[float, ...]] = field(default_factory=dict)
    recalled: bool = False

    @property
    def replicate(self) -> Replicate:
        """Trial and seed."""
        return (self.trial, self.seed)


@dataclass(frozen=True)
class Result:
    """How a replicate ended.

    Attributes:
        outcome: ``complete``; ``stopped`` on request; ``paused`` where the job asked for it; ``failed`` (not
            a number, out of memory, an error: see `reason`); ``lost`` with its worker, to be tried again.
        reason: Why, where the outcome is not ``complete``.
        epochs: Epochs finished, those of the attempt that this one went on from included.
        metrics: Measures at the end; empty where it did not come to that. Where ``packed_replicates`` were
            trained as one network, `train_time_s` and `peak_memory_mib` are an equal share of the pack's.
        note: What else is worth knowing: why a pack was trained one by one, or steps were not captured; from
            which epoch an earlier attempt's state was taken up, or why it was not.
    """

    trial: int
    seed: int
    outcome: Outcome
    reason: str
    epochs: int
    metrics: dict[str, float]
    note: str = ""

    @property
    def replicate(self) -> Replicate:
        """Trial and seed."""
        return (self.trial, self.seed)
