"""The parts of a study whose fields are fixed: training, data, execution, tracking, budget.

Every field of `TrainingSettings` and `DataSettings` is a leaf that a study may fix, sweep or search.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Workers = Annotated[int, Field(ge=1, le=1024)]

# Context of a validation that is about one field, while the others hold their defaults.
ONE_FIELD = "one field"

AUGMENTATION_STEPS = ("crop", "flip", "cutout", "erase")


class Settings(BaseModel):
    """A frozen group of settings that refuses unknown keys and does not convert between types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TrainingSettings(Settings):
    """How one network is trained.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images a step, over all devices together.
        optimizer: ``sgd`` (with `momentum` and `nesterov`), ``adam`` or ``adamw``.
        learning_rate: The largest rate of the schedule.
        momentum: Momentum of sgd; the first beta of adam and adamw.
        nesterov: Nesterov momentum, sgd only.
        weight_decay: L2 penalty (sgd, adam) or decoupled decay (adamw).
        schedule: ``one_cycle``, ``cosine``, ``multi_step``, ``constant`` or ``wsd`` (warm-up–stable–decay:
            to 0 over the last fifth).
        milestones: multi_step: when to multiply the rate by `gamma`, as fractions of the training.
        gamma: multi_step: the factor.
        warmup_epochs: Epochs of linear warm-up before the schedule (none for one_cycle, which has its own).
        label_smoothing: Share of the target that is spread over all classes.
        gradient_clip: Largest gradient norm; 0 leaves gradients alone.
        precision: ``auto`` (decided once for the whole study), ``32`` or ``bf16``.
        gradient_checkpointing: Whether blocks keep their input alone for the backward pass, in which they are
            computed again: less memory, more time, the same results.
        deterministic: Whether only operations are used that give the same bits each time, also on CUDA, where
            the fastest often do not; an operation that has no such form fails the training with its name.
        augmentation: ``none``, or steps joined by underscores: ``crop``, ``flip``, ``cutout``, ``erase``.
        crop_padding: Pixels padded before the random crop; 0 means an eighth of the image's side.
        cutout_size: Side of the cutout square in pixels; 0 means half of the image's side.
    """

    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 128
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    learning_rate: Positive = 0.1
    momentum: Fraction = 0.9
    nesterov: bool = False
    weight_decay: NotNegative = 1e-4
    schedule: Literal["one_cycle", "cosine", "multi_step", "constant", "wsd"] = "one_cycle"
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.5, 0.75)
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    warmup_epochs: NotNegative = 0
    label_smoothing: Fraction = 0
    gradient_clip: NotNegative = 0
    precision: Literal["auto", "32", "bf16"] = "auto"
    gradient_checkpointing: bool = False
    deterministic: bool = False
    augmentation: str = "none"
    crop_padding: Annotated[int, Field(ge=0)] = 0
    cutout_size: Annotated[int, Field(ge=0)] = 0

    @field_validator("milestones", mode="before")
    @classmethod
    def _list_to_tuple(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("precision", mode="before", json_schema_input_type=Literal["auto", "32", "bf16", 32])
    @classmethod
    def _number_to_name(cls, value: object) -> object:
        return "32" if value == 32 and not isinstance(value, bool) else value

    @field_validator("augmentation")
    @classmethod
    def _known_steps(cls, value: str) -> str:
        steps = value.split("_")
        if value != "none" and (len(set(steps)) < len(steps) or not set(steps) <= set(AUGMENTATION_STEPS)):
            known = ", ".join(AUGMENTATION_STEPS)
            raise ValueError(f"must be none, or some of {known} joined by underscores")
        return value

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Self:
        if info.context == ONE_FIELD:
            return self
        if self.schedule == "one_cycle" and self.warmup_epochs:
            raise ValueError("warmup_epochs must be 0 with one_cycle, which warms up by itself")
        if self.nesterov and (self.optimizer != "sgd" or not self.momentum):
            raise ValueError("nesterov needs optimizer: sgd and a momentum above 0")
        return self

    @property
    def augmentation_steps(self) -> tuple[str, ...]:
        """The steps of `augmentation`, in the order in which they are applied."""
        return tuple(step for step in AUGMENTATION_STEPS if step in self.augmentation.split("_"))


class DataSettings(Settings):
    """Where the images come from and how they are split.

    Attributes:
        name: A source: digits, fashion_mnist, mnist, cifar10, cifar100, image_folder, arrays, synthetic,
            or one of a plugin.
        root: Folder (or .npz file for arrays) that holds the data.
        val_frac: Share of the training images set aside for validation, where the source has no own set.
        test_frac: Share of all images set aside for the test, where the source has no own set.
        split_seed: Seed of these splits; the same for every trial, whatever its own seed.
        train_limit: Use only so many training images (stratified, chosen by `split_seed`); 0 uses all.
        image_size: image_folder: images are resized to this side, in pixels.
        download: Whether a missing public data set may be downloaded.
        samples: synthetic: number of images in all.
        classes: synthetic: number of classes.
        channels: synthetic: channels of an image.
        noise: synthetic: standard deviation of the noise on the class pattern.
    """

    name: str = "digits"
    root: str = ""
    val_frac: Annotated[float, Field(gt=0, lt=1)] = 0.2
    test_frac: Annotated[float, Field(gt=0, lt=1)] = 0.2
    split_seed: Annotated[int, Field(ge=0)] = 0
    train_limit: Annotated[int, Field(ge=0)] = 0
    image_size: Annotated[int, Field(ge=1, le=1024)] = 32
    download: bool = True
    samples: Annotated[int, Field(ge=20, le=1_000_000)] = 1000
    classes: Annotated[int, Field(ge=2, le=1000)] = 10
    channels: Annotated[int, Field(ge=1, le=16)] = 3
    noise: NotNegative = 0.5


class ExecutionSettings(Settings):
    """Where trials run; may change between two runs of a study.

    Attributes:
        executor: ``local`` (worker processes), ``inline`` (this process, one job after the other) or ``ray``
            (the machines of a Ray cluster).
        workers: Worker processes; ``auto`` is one a core on a CPU (fewer, of several threads, where that was
            measured to be faster or the memory takes no more), `workers_per_device` on GPUs (one for every
            `devices_per_trial` of them), and with ray what the cluster has room for.
        workers_per_device: local: workers that share a GPU, each with a part of its memory; ``auto`` measures
            what one of them leaves of its time and its memory. Without GPUs it says nothing.
        devices_per_trial: Devices that train one replicate together, a process each; on CPUs the processes
            share the threads of the trial. `batch_size` is that of all of them together.
        retries: How often a replicate is tried again after its worker died or hung; it goes on from its last
            checkpoint.
        trial_limit_s: Seconds that an attempt at a training may take, after which it fails; none where left
            out. Of several that are packed into one, so many times that.
        epoch_limit_s: Seconds after which a training that reports no further epoch counts as hanging: its
            worker is killed, and it is tried again like one whose worker died. The first epoch includes
            building the network. Packed: as above. With executor: inline nothing can be killed, so both
            limits are looked at when an epoch has ended.
        checkpoint_every_s: Seconds of training between two checkpoints, at least; they are rarer where they
            would take over 2 % of the time. 0 writes one after each epoch, whatever that costs.
        keep: Whose trained weights stay on disk: ``best`` (of every cell's answer, of a mere search its best,
            of baselines), ``all`` or, once the test set has been read, ``none``.
        reuse: Whether results are taken over that another study below the same folder has of the same
            training under the same conditions; False trains all anew.
        reuse_from: Further folders of runs whose studies count for `reuse` too, as paths from the working
            directory.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        address: ray: the cluster, as ``host:port`` or ``auto``; empty takes RAY_ADDRESS, else starts a small
            one on this machine.
        cpus_per_trial: ray: CPUs that a trial takes of a node; it trains with as many threads. Left out: one
            for each of its devices.
        gpus_per_trial: ray: GPUs that a trial takes of a node, of one also a fraction; left out: the devices
            of the trial.
    """

    executor: Literal["local", "inline", "ray"] = "local"
    workers: Literal["auto"] | Workers = "auto"
    workers_per_device: Literal["auto"] | Workers = "auto"
    devices_per_trial: Annotated[int, Field(ge=1, le=64)] = 1
    retries: Annotated[int, Field(ge=0, le=100)] = 2
    trial_limit_s: Positive | None = None
    epoch_limit_s: Positive | None = None
    checkpoint_every_s: NotNegative = 10.0
    keep: Literal["best", "all", "none"] = "best"
    reuse: bool = True
    reuse_from: tuple[str, ...] = ()
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    address: str = ""
    cpus_per_trial: Positive | None = None
    gpus_per_trial: NotNegative | None = None

    @field_validator("reuse_from", mode="before")
    @classmethod
    def _list_to_tuple(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Self:
        if info.context == ONE_FIELD:
            return self
        of_ray = self.model_fields_set & {"address", "cpus_per_trial", "gpus_per_trial"}
        if of_ray and self.executor != "ray":
            raise ValueError(f"{', '.join(sorted(of_ray))} must be left out without executor: ray")
        if self.workers_per_device != "auto":
            self._check_sharing()
        for name in ("cpus_per_trial", "gpus_per_trial"):
            amount = getattr(self, name) or 0
            if amount > 1 and amount != int(amount):
                raise ValueError(f"{name} must be a whole number above 1, which Ray cannot divide")
        if self.executor == "ray" and self.device == "mps":
            raise ValueError("device must be auto, cpu or cuda with executor: ray")
        if self.gpus_per_trial and self.device == "cpu":
            raise ValueError("gpus_per_trial must be 0 with device: cpu")
        if self.gpus_per_trial == 0 and self.device == "cuda":
            raise ValueError("gpus_per_trial must be above 0 with device: cuda")
        if self.devices_per_trial > 1 and self.gpus_per_trial not in (None, 0, self.devices_per_trial):
            raise ValueError("gpus_per_trial must be left out with several devices_per_trial")
        if self.devices_per_trial > 1 and self.device == "mps":
            raise ValueError("devices_per_trial must be 1 with device: mps")
        return self

    def _check_sharing(self) -> None:
        """Refuse a number of workers a GPU where there are none, or where something else decides."""
        reasons = {
            f"executor: {self.executor}": self.executor != "local",
            f"device: {self.device}": self.device in ("cpu", "mps"),
            f"workers: {self.workers}": self.workers != "auto",
            f"devices_per_trial: {self.devices_per_trial}": self.devices_per_trial > 1,
        }
        if met := next((reason for reason, holds in reasons.items() if holds), None):
            raise ValueError(f"workers_per_device must be auto with {met}")

    @property
    def trial_cpus(self) -> float:
        """CPUs that a trial takes of a Ray cluster's node."""
        return self.devices_per_trial if self.cpus_per_trial is None else self.cpus_per_trial


class TrackingSettings(Settings):
    """Where results are shown; may change between two runs of a study.

    Attributes:
        uri: MLflow tracking URI; empty takes MLFLOW_TRACKING_URI, else ``sqlite:///mlflow.db``.
        enabled: False leaves MLflow out.
        optuna: Optuna storage that finished trials are copied to, for other tools: URL of a database, or
            ``grpc://host:port`` of Optuna's proxy server; empty: none.
    """

    uri: str = ""
    enabled: bool = True
    optuna: str = ""


class BudgetSettings(Settings):
    """What may be spent in all; a study starts no trial beyond it.

    Attributes:
        hours: Wall-clock hours of all sessions together.
        epochs: Epochs trained, over all replicates.
        macs: Multiply-accumulates of the forward passes over training images.
    """

    hours: Positive | None = None
    epochs: Count | None = None
    macs: Positive | None = None


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_OF_WINDOWS = re.compile(r"((con|prn|aux|nul|com\d|lpt\d)(\..*)?)|.*\.", re.IGNORECASE)


def is_safe_name(name: str) -> bool:
    """Whether a study of this name keeps inside its run folder: letters, digits, ``.``, ``_`` and ``-``.

    Nor may it be a name that Windows takes for a device, or whose last dot it drops.
    """
    return _NAME.fullmatch(name) is not None and not _OF_WINDOWS.fullmatch(name)
