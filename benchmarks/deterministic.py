"""What `training.deterministic` costs: the same trainings with torch's deterministic operations and without.

    OMP_NUM_THREADS=1 python -m benchmarks.deterministic --output benchmarks/results/deterministic.json

Protocol: everything runs in this process on one thread of a CPU. For each case the same training is made with
`deterministic: true` and without, in turns, `--rounds` times after one to warm up; compared is the ratio
within a round. Seconds are the process's own processor time, from the call to the result. Data are in memory
beforehand. On a GPU the cost is another one, which this does not measure.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from archsearch.architecture import resolve_architecture
from archsearch.study.settings import DataSettings, TrainingSettings
from archsearch.training import Compute, Job
from benchmarks.machine import summarize, write_result
from benchmarks.packing import measure_s

_CASES = {
    "ResNet-8, width 8": {"depth": 8, "width": 8},
    "ResNet-20, width 8": {"depth": 20, "width": 8},
    "dense-22, growth 8": {"block": "dense", "depth": 22, "width": 8},
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--cases", nargs="+", choices=list(_CASES), default=list(_CASES))
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for case in options.cases:
        usual = Job(
            trial=0,
            seed=0,
            architecture=resolve_architecture(_CASES[case]),
            training=TrainingSettings(epochs=options.epochs, batch_size=64),
            data=DataSettings(name="digits"),
            compute=Compute(channels_last=True),
        )
        strict = replace(usual, training=usual.training.model_copy(update={"deterministic": True}))
        pairs = [(measure_s([strict]), measure_s([usual])) for _ in range(options.rounds + 1)][1:]
        rows.append(
            {
                "case": case,
                "deterministic_s": summarize([one for one, _ in pairs]),
                "added_frac": summarize([one / other - 1 for one, other in pairs]),
            }
        )
    protocol = {"rounds": options.rounds, "epochs": options.epochs, "batch_size": 64, "threads": 1}
    write_result("deterministic", protocol, rows, options.output)


if __name__ == "__main__":
    main()
