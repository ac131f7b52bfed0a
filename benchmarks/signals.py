"""What the signals along the depth cost: trainings that are watched against the same ones that are not.

    OMP_NUM_THREADS=1 python -m benchmarks.signals --output benchmarks/results/signals.json

Protocol: everything runs in this process on one thread. For each case the same training (or pack of three
seeds) is made with the signals, as always, and without any, in turns, `--rounds` times after one to warm up;
compared is the ratio within a round. Seconds are the process's own processor time, from the call to the
result: building the network, training, validation after each epoch, the evaluation at the end. Data are in
memory beforehand.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch

from archsearch.architecture import resolve_architecture
from archsearch.study.settings import DataSettings, TrainingSettings
from archsearch.training import Compute, Job
from archsearch.training.group import Group
from benchmarks.machine import summarize, write_result
from benchmarks.packing import measure_s

_CASES = {
    "ResNet-8, width 8": ({"depth": 8, "width": 8}, 1),
    "ResNet-8, width 8, three packed": ({"depth": 8, "width": 8}, 3),
    "ResNet-20, width 8": ({"depth": 20, "width": 8}, 1),
    "highway-20, width 8": ({"block": "highway", "depth": 20, "width": 8}, 1),
    "plain-56, width 8": ({"block": "plain", "depth": 56, "width": 8}, 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--cases", nargs="+", choices=list(_CASES), default=list(_CASES))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for case in options.cases:
        fields, count = _CASES[case]
        job = Job(
            trial=0,
            seed=0,
            architecture=resolve_architecture(fields),
            training=TrainingSettings(epochs=options.epochs, batch_size=64),
            data=DataSettings(name="digits"),
            compute=Compute(channels_last=True),
        )
        jobs = [replace(job, seed=seed) for seed in range(count)]
        pairs = [(measure_s(jobs), _measure_unwatched_s(jobs)) for _ in range(options.rounds + 1)][1:]
        rows.append(
            {
                "case": case,
                "watched_s": summarize([watched for watched, _ in pairs]),
                "added_frac": summarize([watched / bare - 1 for watched, bare in pairs]),
            }
        )
    protocol = {"rounds": options.rounds, "epochs": options.epochs, "batch_size": 64, "threads": 1}
    write_result("signals", protocol, rows, options.output)


def _measure_unwatched_s(jobs: Sequence[Job]) -> float:
    with mock.patch.object(Group, "_is_watched", return_value=False):
        return measure_s(jobs)


if __name__ == "__main__":
    main()
