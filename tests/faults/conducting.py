"""Two conductors on one study, and a study that is edited between its runs."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.faults.fault import Fault, Finding
from tests.faults.killing import searching
from tests.faults.workshop import Study, Workshop


def start_twice(shop: Workshop, place: Path, times: int) -> Finding:
    """Start a second conductor while the first one trains, then kill the first and start another."""
    study = shop.begin(place, searching(times))
    lost, recoveries = list[str](), list[float]()
    for number in range(times):
        first = shop.starter.start("run", study.file, cwd=place)
        _wait_for_told(study, 2 * number + 1, first)
        second = shop.starter.run("run", study.file, cwd=place)
        if second.code != 2 or f"process {first.pid} on" not in second.said():
            lost.append(f"the second conductor: exit code {second.code}: {second.said()}")
        if first.code is not None:
            lost.append(f"the first conductor ended: {first.said()}")
        first.send(signal.SIGKILL)
        first.wait()
        if not (study.folder.path / "holder.json").exists():
            lost.append("the killed conductor left no word of itself")
        # The lock is stale now: the next conductor takes it.
        known = len(study.records())
        third = shop.starter.start("run", study.file, cwd=place)
        while len(study.records()) <= known and third.code is None:
            time.sleep(0.005)
        recoveries.append(time.time() - third.started)
        third.send(signal.SIGKILL)
        third.wait()
    shop.run(study)
    return Finding(times, (*lost, *shop.find_lost(study)), tuple(recoveries))


def edit_between_runs(shop: Workshop, place: Path, times: int) -> Finding:
    """Edit a study between two runs: what makes it another one is refused, what lets it grow is done."""
    lost, recoveries = list[str](), list[float]()
    small, grown = searching(0), searching(1)
    refused = {
        "other training": small.replace("epochs: 4", "epochs: 5"),
        "other data": small.replace("train_limit: 128", "train_limit: 64"),
        "other space": small.replace("depth: [3, 5]", "depth: [3, 7]"),
        "no study": small.replace("layout: mlp", "layout: nonsense"),
    }
    for number in range(-(-times // (len(refused) + 1))):
        study = shop.begin(place / str(number), grown)
        _rewrite(study, small)
        first = shop.starter.start("run", study.file, cwd=study.place)
        _wait_for_told(study, 2, first)
        first.send(signal.SIGKILL)
        first.wait()
        before = study.folder.journal.read_bytes()
        for name, text in refused.items():
            _rewrite(study, text)
            command = shop.starter.run("run", study.file, cwd=study.place)
            if command.code != 2 or "Traceback" in command.said():
                lost.append(f"{name}: exit code {command.code}: {command.said()}")
            if study.folder.journal.read_bytes() != before:
                lost.append(f"{name}: the journal has changed")
        _rewrite(study, grown)
        command = shop.run(study)
        news = (r.time for r in study.records("epoch") if r.time > command.started)
        recoveries.append(min(news) - command.started)
        lost += shop.find_lost(study)
    return Finding(len(recoveries) * (len(refused) + 1), tuple(lost), tuple(recoveries))


def _rewrite(study: Study, text: str) -> None:
    study.file.write_text(text + "tracking: {enabled: false}\n")


def _wait_for_told(study: Study, trials: int, command) -> None:
    deadline = time.monotonic() + 60
    while len(study.records("told")) < trials and command.code is None:
        assert time.monotonic() < deadline, command.said()
        time.sleep(0.005)


FAULTS = (
    Fault(
        "two conductors on one study",
        "a second `archsearch run` while the first trains is refused; the first is killed, another started",
        "from the new start to its first record: the stale lock is taken",
        start_twice,
        counted="second starts, one study",
    ),
    Fault(
        "study edited between runs",
        "a study is killed; then other training, other data, another space, and a mistake: each is refused "
        "with the journal as it was; then more trials",
        "from the start of the grown study to the first news of a training",
        edit_between_runs,
        counted="edits, five a study",
    ),
)
