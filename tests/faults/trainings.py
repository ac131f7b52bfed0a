"""Trainings that cannot succeed, beside others that do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.faults.fault import Fault, Finding
from tests.faults.workshop import Study, Workshop

# A small network needs a tenth of it, a large one many times as much.
_ADDRESS_MIB = 700


def _sweep(name: str, values: str, more: str = "") -> str:
    return f"""
name: faulty
data: {{name: digits, train_limit: 128}}
architecture: {{layout: mlp, depth: 3{"" if name == "width" else ", width: 8"}}}
sweep: {{{name}: [{values}]}}
training: {{epochs: 2, batch_size: 128, precision: '32'{more}}}
execution: {{executor: inline}}
"""


def run_out_of_memory(shop: Workshop, place: Path, times: int) -> Finding:
    """Train so many networks that are too large for the memory of the process, before and between others."""
    few = _sweep("width", "8, 9")
    widths = [str(20_000 + 8 * number) for number in range(times)]
    text = _sweep("width", ", ".join([*widths[: times // 2], "8", *widths[times // 2 :], "9"]))
    study = shop.begin(place, text)
    command = shop.starter.run("run", study.file, cwd=place, address_mib=_ADDRESS_MIB)
    lost = [*_find_failures(study, times, "out of memory"), *_find_lost_of_the_rest(shop, study, few)]
    if command.code:
        lost.append(f"exit code {command.code}: {command.said()}")
    return Finding(times, tuple(lost), tuple(_until_the_next(study)))


def lose_numbers(shop: Workshop, place: Path, times: int) -> Finding:
    """Train with so many learning rates at which every loss becomes NaN, before and between others."""
    few = _sweep("training.learning_rate", "0.05, 0.1")
    rates = [f"{number + 1}.0e+30" for number in range(times)]
    values = [*rates[: times // 2], "0.05", *rates[times // 2 :], "0.1"]
    study = shop.begin(place, _sweep("training.learning_rate", ", ".join(values)))
    command = shop.starter.run("run", study.file, cwd=place)
    lost = [*_find_failures(study, times, "not a number"), *_find_lost_of_the_rest(shop, study, few)]
    if command.code:
        lost.append(f"exit code {command.code}: {command.said()}")
    return Finding(times, tuple(lost), tuple(_until_the_next(study)))


def _find_failures(study: Study, times: int, reason: str) -> Iterator[str]:
    trials = study.folder.history().trials.values()
    failed = [trial for trial in trials if trial.outcome == "failed" and reason in trial.reason]
    if len(failed) != times:
        reasons = {trial.number: (trial.outcome, trial.reason) for trial in trials}
        yield f"{len(failed)} trials failed by {reason} instead of {times}: {reasons}"


def _find_lost_of_the_rest(shop: Workshop, study: Study, few: str) -> Iterator[str]:
    """The trainings that could succeed must come to what they come to without the others."""

    def by_cell(folder):
        return {
            str(trial.cell): [dict(metrics, images_per_s=0) for metrics in trial.replicates[0].epochs]
            for trial in folder.history().trials.values()
            if trial.outcome == "complete"
        }

    found, expected = by_cell(study.folder), by_cell(shop.undisturbed(few))
    if found != expected:
        yield f"the other trainings came to {found} instead of {expected}"


def _until_the_next(study: Study) -> Iterator[float]:
    """From the end of each failed training to the start of the next one."""
    records = study.records()
    for index, record in enumerate(records):
        if record.kind == "replicate" and record.fields["outcome"] == "failed":
            following = [later.time for later in records[index:] if later.kind == "started"]
            yield from [following[0] - record.time] if following else []


FAULTS = (
    Fault(
        "out of memory",
        f"networks too large for a process that may have {_ADDRESS_MIB} MiB more than it begins with, "
        "between others that fit",
        "from the failure to the next training",
        run_out_of_memory,
        counted="trainings, one study",
    ),
    Fault(
        "NaN",
        "learning rates from 1e30 on, between others",
        "from the failure to the next training",
        lose_numbers,
        counted="trainings, one study",
    ),
)
