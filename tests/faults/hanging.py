"""Workers that hang, trainings that take too long, and checkpoints that are damaged."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psutil

from archsearch.execution.limits import COMING_UP_S
from tests.faults.fault import Fault, Finding
from tests.faults.killing import list_workers, searching, sweeping
from tests.faults.workshop import Study, Workshop
from tests.starting import Command

_SEED = 20151210
_EPOCH_LIMIT_S, _TRIAL_LIMIT_S = 2, 3
_COMES_UP_WITHIN_S = 1.0


def freeze_workers(shop: Workshop, place: Path, times: int) -> Finding:
    """Freeze one of two workers for good, again and again, in as many sweeps as that takes."""
    generator, frozen, lost, recoveries = random.Random(_SEED), 0, list[str](), list[float]()
    limited = f"retries: 100, epoch_limit_s: {_EPOCH_LIMIT_S}"
    for number in count():
        if frozen >= times:
            return Finding(frozen, tuple(lost), tuple(recoveries))
        study = shop.begin(place / str(number), sweeping().replace("retries: 100", limited))
        command = shop.starter.start("run", study.file, cwd=study.place, cores=2)
        stopped = set[int]()
        while command.code is None:
            time.sleep(generator.uniform(0.05, 0.5))
            # One at a time: it is the other one's work that goes on meanwhile.
            workers = [worker for worker in list_workers(command) if worker not in stopped]
            if frozen < times and len(workers) == 2 and all(map(_has_come_up, workers)):
                with contextlib.suppress(ProcessLookupError):
                    stopped.add(worker := generator.choice(workers))
                    os.kill(worker, signal.SIGSTOP)
                    frozen += 1
        lost += shop.find_lost(study, cores=2)
        if command.code:
            lost.append(f"exit code {command.code}: {command.said()}")
        recoveries += _until_trained_again(study)
    raise AssertionError("unreachable")


def _has_come_up(worker: int) -> bool:
    """Whether a worker has been there for some time; on a busy machine it may be coming up still."""
    with contextlib.suppress(psutil.Error):
        return time.time() - psutil.Process(worker).create_time() > _COMES_UP_WITHIN_S
    return False


def _until_trained_again(study: Study) -> Iterator[float]:
    """From the last sign of life of each training that hung to the next one, so with the limit."""
    records, seen = study.records(), dict[tuple[int, int], float]()
    hung = set[tuple[int, int]]()
    for record in records:
        if record.kind in ("started", "epoch", "replicate"):
            key = record.fields["trial"], record.fields["seed"]
            if record.kind == "replicate" and record.fields["outcome"] == "lost":
                hung.add(key)
                continue
            if key in hung and record.kind != "started":
                hung.discard(key)
                yield record.time - seen[key]
            if key not in hung:
                seen[key] = record.time


def train_too_long(shop: Workshop, place: Path, times: int) -> Finding:
    """Have trainings of a hundred thousand epochs between others, and a limit of a second."""
    short, text = (
        "2, 3",
        f"""
name: faulty
data: {{name: digits, train_limit: 128}}
architecture: {{layout: mlp, width: 8, depth: 3}}
sweep: {{training.epochs: [EPOCHS]}}
training: {{batch_size: 64, precision: '32'}}
execution: {{executor: local, workers: 2, trial_limit_s: {_TRIAL_LIMIT_S}}}
""",
    )
    long = [str(100_000 + number) for number in range(times)]
    study = shop.begin(place, text.replace("EPOCHS", ", ".join(["2", *long, "3"])))
    command = shop.starter.run("run", study.file, cwd=place, cores=2)
    lost = [f"exit code {command.code}: {command.said()}"] if command.code else []
    trials = study.folder.history().trials.values()
    failed = [t for t in trials if t.outcome == "failed" and "limit" in t.reason]
    if len(failed) != times:
        lost.append(f"not {times} failed by the limit: {[(t.outcome, t.reason) for t in trials]}")
    expected = shop.undisturbed(text.replace("EPOCHS", short), cores=2).history().trials.values()
    found = {t.training["epochs"]: t.metrics["val_loss"] for t in trials if t.outcome == "complete"}
    if found != {t.training["epochs"]: t.metrics["val_loss"] for t in expected}:
        lost.append(f"the other trainings came to {found}")
    took = (t.replicates[0].finished - t.replicates[0].started for t in failed)
    return Finding(times, tuple(lost), tuple(took))


def damage_checkpoints(shop: Workshop, place: Path, times: int) -> Finding:
    """Kill a training, change a bit of its checkpoint or cut it, and go on; again and again in one study."""
    generator, damaged, recoveries = random.Random(_SEED), 0, list[float]()
    study = shop.begin(place, searching(times).replace("epochs: 4", "epochs: 8"))
    hit = False
    while damaged < times or hit:
        known = len(study.records("epoch"))
        command = shop.starter.start("run", study.file, cwd=place)
        _wait_for_epochs(study, known + 1, command)
        if hit:
            recoveries.append(time.time() - command.started)
        _wait_for_epochs(study, known + generator.randint(2, 8), command)
        command.send(signal.SIGKILL)
        assert command.wait() == -signal.SIGKILL, command.said()
        checkpoints = list((study.folder.path / "checkpoints").glob("*.safetensors"))
        hit = damaged < times and bool(checkpoints)
        if hit:
            _damage(checkpoints[0], generator)
            damaged += 1
    shop.run(study)
    return Finding(damaged, shop.find_lost(study), tuple(recoveries))


def _wait_for_epochs(study: Study, epochs: int, command: Command) -> None:
    deadline = time.monotonic() + 60
    while len(study.records("epoch")) < epochs and command.code is None:
        assert time.monotonic() < deadline, command.said()
        time.sleep(0.005)


def _damage(path: Path, generator: random.Random) -> None:
    content = bytearray(path.read_bytes())
    place = generator.randrange(len(content))
    if generator.random() < 0.5:
        content[place] ^= 1 << generator.randrange(8)
    else:
        del content[place:]
    path.write_bytes(content)


FAULTS = (
    Fault(
        "worker hangs",
        f"SIGSTOP to one of two workers, at a random moment, with `epoch_limit_s: {_EPOCH_LIMIT_S}`",
        f"from its last report to the next, so with the limit of {_EPOCH_LIMIT_S} s, or of "
        f"{COMING_UP_S:.0f} s more for a worker that was still coming up",
        freeze_workers,
        counted="workers",
    ),
    Fault(
        "training takes too long",
        f"trainings of 100,000 epochs between others, with `trial_limit_s: {_TRIAL_LIMIT_S}`: these fail",
        f"from its start to its failure, so with the limit of {_TRIAL_LIMIT_S} s, which begins when its "
        "worker has come up",
        train_too_long,
        counted="trainings, one study",
    ),
    Fault(
        "corrupted checkpoint",
        "a training is killed, and one bit of its checkpoint turned over, or the file cut at a random place",
        "from the new start to the first new epoch",
        damage_checkpoints,
        counted="checkpoints, one study",
    ),
)
