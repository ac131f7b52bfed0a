"""The arithmetic of a study, measured once: precision, memory format and packing, the same for all trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import torch

from archsearch.architecture import Architecture
from archsearch.data import Dataset
from archsearch.errors import ArchsearchError, PackingError
from archsearch.models import build_network
from archsearch.study.settings import TrainingSettings
from archsearch.training.failure import describe_failure
from archsearch.training.hardware import computes_bf16
from archsearch.training.measuring import (
    build_step,
    describe_arithmetic,
    find_middle,
    sample_batch,
    time_in_turns,
)
from archsearch.training.memory import return_memory
from archsearch.training.values import Compute

# What is simpler comes first; something later must be so much faster to be chosen.
NEEDED_GAIN = 1.1
_LAST = "; channels last, which on a CPU was at least as fast for every family that was tried"


def choose_compute(
    architectures: Sequence[Architecture],
    training: TrainingSettings,
    dataset: Dataset,
    *,
    device: Literal["cpu", "cuda", "mps"],
    threads: int,
    may_capture: bool = True,
    pack: int = 1,
) -> Compute:
    """Choose precision and memory format for a study, and whether its steps are captured.

    ``precision: auto`` times steps of training of the network in the middle of the study's compute in
    float32, and (where the hardware computes it) in bfloat16 with channels last, in turns; on a GPU in
    float32 with channels last too, and on CUDA each eager and captured. A candidate is taken when it is at
    least 10 % faster than the simpler one. A precision that the study names is taken without measuring, but
    for capturing. On a CPU images always have channels last, which is faster there in both precisions.

    Args:
        architectures: Those that the study may train.
        training: Precision, batch size and optimizer.
        dataset: For the shape of the images and the number of classes.
        device: Where trials run.
        threads: Threads of one worker on a CPU.
        may_capture: Whether a step is all on one device, so that on CUDA it can be captured.
        pack: Networks that are timed side by side, where they can be packed.
    """
    # Channels mean nothing to flat inputs.
    images = len(dataset.input_shape) == 3
    # On a CPU float32 is at most as slow with them last, for each family and size that was tried.
    plain = Compute(precision="32", channels_last=images and device == "cpu", threads=threads, device=device)
    bf16 = replace(plain, precision="bf16", channels_last=images)
    here = device != "cuda" or torch.cuda.is_available()
    if training.precision == "32":
        candidates, reason = [plain], f"precision: 32 is what the study asks for{_LAST * plain.channels_last}"
    elif training.precision == "bf16":
        candidates, reason = [bf16], "precision: bf16 is what the study asks for"
    elif not here:
        reason = "float32, as no such device is here to be measured; precision: bf16 asks for the other"
        candidates = [plain]
    else:
        reason = "float32, as there is nothing else to choose on this device"
        candidates = list(dict.fromkeys([plain, replace(plain, channels_last=images)]))
        candidates += [bf16] if computes_bf16(device) else []
    if device == "cuda" and here and may_capture:
        candidates = [replace(one, captured=captured) for one in candidates for captured in (False, True)]
    if not architectures or len(candidates) == 1:
        return replace(candidates[0], reason=reason)
    architecture = find_middle(architectures, dataset)
    chosen = _measure_candidates(candidates, architecture, training, dataset, pack=pack)
    if device != "cpu":
        return_memory(device, thoroughly=True)
    return chosen if training.precision == "auto" else replace(chosen, reason=f"{reason}; {chosen.reason}")


def choose_pack(
    compute: Compute,
    architectures: Sequence[Architecture],
    training: TrainingSettings,
    dataset: Dataset,
    *,
    replicates: int,
    fitting: int,
) -> Compute:
    """Choose how many replicates of a trial are trained as one network.

    All of them, or as many as the memory takes of the largest network, where a step of the network in the
    middle of the study's compute then takes at least 10 % less time than one step each; else 1.

    Args:
        compute: Precision and memory format, as `choose_compute` gives them.
        architectures: Those that the study may train.
        training: Batch size and optimizer.
        dataset: For the shape of the images and the number of classes.
        replicates: Seeds of a trial.
        fitting: Trainings of the largest network that the memory of a worker takes at once.
    """
    if replicates < 2 or not architectures:
        return compute
    pack = min(replicates, fitting)
    if pack < 2:
        return add_reason(compute, "replicates one by one, for two of the largest network exceed the memory")
    architecture = find_middle(architectures, dataset)
    try:
        one, packed = _time_packed(compute, architecture, training, dataset, pack=pack)
    # Nor must this end the study: such networks are trained one by one.
    except (ArchsearchError, RuntimeError, MemoryError) as error:
        reason = describe_failure(error).splitlines()[0]
        return add_reason(
            compute, f"replicates one by one, as {architecture.name} cannot be packed: {reason}"
        )
    finally:
        if compute.device != "cpu":
            return_memory(compute.device, thoroughly=True)
    gains = packed * NEEDED_GAIN <= one * pack
    measured = f"{architecture.name}: {pack} packed {packed * 1000:.1f} ms, one alone {one * 1000:.1f} ms"
    how = f"up to {pack} replicates packed" if gains else "replicates one by one"
    return add_reason(replace(compute, pack=pack if gains else 1), f"{how} ({measured})")


def _time_packed(
    compute: Compute, architecture: Architecture, training: TrainingSettings, dataset: Dataset, *, pack: int
) -> tuple[float, float]:
    """Time steps of one network and of a pack, in turns."""
    torch.set_num_threads(compute.threads)
    batch = sample_batch(architecture, training, dataset, compute.device)
    with torch.random.fork_rng(devices=[]):
        networks = [
            build_network(architecture, dataset.input_shape, dataset.num_classes) for _ in range(pack + 1)
        ]
    steps = [build_step(compute, some, training, batch) for some in (networks[:1], networks[1:])]
    one, packed = time_in_turns([compute, compute], steps)
    return one.seconds, packed.seconds


def add_reason(compute: Compute, reason: str) -> Compute:
    """Add why something further was chosen."""
    return replace(compute, reason=f"{compute.reason}; {reason}")


def _measure_candidates(
    candidates: Sequence[Compute],
    architecture: Architecture,
    training: TrainingSettings,
    dataset: Dataset,
    *,
    pack: int,
) -> Compute:
    first = candidates[0]
    torch.set_num_threads(first.threads)
    batch = sample_batch(architecture, training, dataset, first.device)
    steps: dict[Compute, Callable[[], None]] = {}
    failed = []
    try:
        for candidate in candidates:
            with torch.random.fork_rng(devices=[]):
                networks = [
                    build_network(architecture, dataset.input_shape, dataset.num_classes) for _ in range(pack)
                ]
            step = build_step(candidate, networks, training, batch)
            # a GPU may have no kernel for one of them, or no memory, and not each step can be captured
            if why := "" if first.device == "cpu" or candidate == first else _failure_of(step):
                failed.append(f"{describe_arithmetic(candidate)} failed: {why}")
            else:
                steps[candidate] = step
        timings = time_in_turns(list(steps), list(steps.values()))
    except PackingError:
        return _measure_candidates(candidates, architecture, training, dataset, pack=1)
    # A network that cannot be trained here fails as a trial, with its reason; it must not end the study.
    except (RuntimeError, MemoryError) as error:
        reason = describe_failure(error).splitlines()[0]
        name = "float32" if first.precision == "32" else first.precision
        return replace(first, reason=f"{name}, as {architecture.name} cannot be measured: {reason}")
    chosen = timings[0]
    for timing in timings[1:]:
        if timing.seconds * NEEDED_GAIN <= chosen.seconds:
            chosen = timing
    measured = "; ".join([*(str(timing) for timing in timings), *failed])
    packed = f", {pack} packed" if pack > 1 else ""
    reason = f"{architecture.name}{packed}, a step of {len(batch[1])} images, median: {measured}"
    return replace(chosen.compute, reason=reason)


def _failure_of(step: Callable[[], None]) -> str:
    try:
        step()
    except (ArchsearchError, RuntimeError, MemoryError) as error:
        return describe_failure(error).splitlines()[0]
    return ""
