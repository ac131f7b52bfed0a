"""Ctrl-C once, Ctrl-C twice, SIGTERM: how soon a study ends, and that it goes on."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.comparing import list_processes
from tests.faults.fault import Fault, Finding
from tests.faults.killing import searching
from tests.faults.workshop import Study, Workshop
from tests.starting import Command

_SEED = 20151210
_CTRL_C, _SIGTERM = 130, 143


def _stop(
    shop: Workshop,
    place: Path,
    times: int,
    stop: Callable[[Command], None],
    *,
    code: int,
    finishes: bool = False,
    mlflow: bool = False,
) -> Finding:
    """Stop a study again and again, at a random moment, and run it to its end."""
    begin = shop.begin_with_mlflow if mlflow else shop.begin
    study = begin(place, searching(times))
    generator, lost, recoveries = random.Random(_SEED), list[str](), list[float]()
    for _ in range(times):
        known = len(study.records("epoch"))
        command = shop.starter.start("run", study.file, cwd=place)
        _wait_for_epochs(study, known + 1, command)
        time.sleep(generator.uniform(0, 0.3))
        before = time.monotonic()
        stop(command)
        ended = command.wait()
        recoveries.append(time.monotonic() - before)
        lost += _find_wrong(study, command, finishes=finishes)
        if ended != code:
            lost.append(f"exit code {ended} instead of {code}: {command.said()}")
        if left := list_processes(place):
            lost.append(f"processes are left: {left}")
    shop.run(study)
    lost += shop.find_lost(study, f"sqlite:///{place / 'mlflow.db'}" if mlflow else "")
    return Finding(times, tuple(lost), tuple(recoveries))


def _find_wrong(study: Study, command: Command, *, finishes: bool) -> list[str]:
    wrong = []
    if study.records()[-1].kind != "interrupted":
        wrong.append(f"the journal ends with {study.records()[-1]}")
    if "Traceback" in command.said():
        wrong.append(command.said())
    started = {(r.fields["trial"], r.fields["seed"]) for r in study.records("started")}
    ended = {(r.fields["trial"], r.fields["seed"]) for r in study.records("replicate")}
    if finishes and started != ended:
        wrong.append(f"trainings were not finished: {started - ended}")
    return wrong


def _wait_for_epochs(study: Study, epochs: int, command: Command) -> None:
    deadline = time.monotonic() + 60
    while len(study.records("epoch")) < epochs and command.code is None:
        assert time.monotonic() < deadline, command.said()
        time.sleep(0.005)


def press_ctrl_c(shop: Workshop, place: Path, times: int) -> Finding:
    """SIGINT once."""
    return _stop(shop, place, times, lambda command: command.send(signal.SIGINT), code=_CTRL_C, finishes=True)


def press_ctrl_c_twice(shop: Workshop, place: Path, times: int) -> Finding:
    """SIGINT twice within a moment."""

    def stop(command: Command) -> None:
        command.send(signal.SIGINT)
        time.sleep(0.02)
        command.send(signal.SIGINT)

    return _stop(shop, place, times, stop, code=_CTRL_C)


def terminate(shop: Workshop, place: Path, times: int) -> Finding:
    """SIGTERM."""
    return _stop(shop, place, times, lambda command: command.send(signal.SIGTERM), code=_SIGTERM, mlflow=True)


_ENDED = "from the signal to the end of the command"

FAULTS = (
    Fault(
        "SIGINT once",
        "at a random moment of a search; what is trained is finished first",
        _ENDED,
        press_ctrl_c,
        counted="signals, one study",
    ),
    Fault(
        "SIGINT twice",
        "20 ms after each other, at a random moment of a search",
        _ENDED,
        press_ctrl_c_twice,
        counted="pairs of signals, one study",
    ),
    Fault(
        "SIGTERM",
        "at a random moment of a search",
        f"{_ENDED}, with MLflow written",
        terminate,
        counted="signals, one study",
    ),
)
