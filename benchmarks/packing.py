"""How long K replicates take packed into one network, against one alone and against K one after the other.

    OMP_NUM_THREADS=1 python -m benchmarks.packing --output packing.json

Protocol: everything runs in this process on one thread. For each case, trainings of `--epochs` epochs of one
replicate and of a pack of K are made in turns, `--rounds` times after one to warm up, so that a busy machine
slows them alike; compared are the ratios within a round. Seconds are the process's own processor time, which
neighbours lengthen less than the wall clock's. Inside: the whole training from the call to the result, with
building the network, validation after each epoch, and the evaluation on the training images at the end. One
after the other is K times one alone. Data are in memory beforehand. ``saved_frac`` is the share of the time
of one after the other that packing saves.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from archsearch.architecture import resolve_architecture
from archsearch.study.settings import DataSettings, TrainingSettings
from archsearch.training import Compute, Job, Pack, Result
from archsearch.training.loop import train
from benchmarks.machine import summarize, write_result

_DIGITS = DataSettings(name="digits")
_COLOUR = DataSettings(name="synthetic", samples=1000, image_size=32)
_CASES = {
    "ResNet-8, width 8, digits": ({"depth": 8, "width": 8}, _DIGITS),
    "ResNet-20, width 16, digits": ({"depth": 20, "width": 16}, _DIGITS),
    "ResNet-20, width 16, 32x32x3": ({"depth": 20, "width": 16}, _COLOUR),
}
_ARITHMETIC = {
    "float32": Compute(),
    "float32, channels last": Compute(channels_last=True),
    "bfloat16, channels last": Compute(precision="bf16", channels_last=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--counts", type=int, nargs="+", default=[3, 4])
    parser.add_argument("--cases", nargs="+", choices=list(_CASES), default=list(_CASES))
    parser.add_argument("--arithmetic", nargs="+", choices=list(_ARITHMETIC), default=list(_ARITHMETIC))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = []
    for case in options.cases:
        for arithmetic in options.arithmetic:
            fields, data = _CASES[case]
            job = Job(
                trial=0,
                seed=0,
                architecture=resolve_architecture(fields),
                training=TrainingSettings(epochs=options.epochs, batch_size=64),
                data=data,
                compute=_ARITHMETIC[arithmetic],
            )
            for count in options.counts:
                row = {"case": case, "arithmetic": arithmetic, "K": count}
                results.append(row | compare(job, count, options.rounds))
    protocol = {"rounds": options.rounds, "epochs": options.epochs, "batch_size": 64, "threads": 1}
    write_result("packing", protocol, results, options.output)


def compare(job: Job, count: int, rounds: int) -> dict[str, object]:
    """Time one and a pack in turns; ratios are of the same round."""
    jobs = [replace(job, seed=seed) for seed in range(count)]
    pairs = [(measure_s(jobs[:1]), measure_s(jobs)) for _ in range(rounds + 1)][1:]
    return {
        "one_s": summarize([one for one, _ in pairs]),
        "packed_to_one": summarize([packed / one for one, packed in pairs]),
        "saved_frac": summarize([1 - packed / (count * one) for one, packed in pairs]),
    }


def measure_s(jobs: Sequence[Job]) -> float:
    """Train one job or a pack; returns the processor seconds it took."""
    start = time.process_time()
    training = train(jobs[0] if len(jobs) == 1 else Pack(tuple(jobs)))
    ends = [event for event in training if isinstance(event, Result)]
    if any(end.outcome != "complete" for end in ends):
        raise RuntimeError(f"a training failed: {ends}")
    return time.process_time() - start


if __name__ == "__main__":
    main()
