"""A clock that is set back while a study runs."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

from tests.faults.fault import Fault, Finding
from tests.faults.killing import searching
from tests.faults.workshop import Workshop
from tests.starting import Starter

_HOUR_S = 3600


def find_library() -> Path | None:
    """Where libfaketime is; Debian's packages and others' put it at different places."""
    for pattern in ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib*/faketime/libfaketimeMT.so.1"):
        if found := sorted(Path("/").glob(pattern.removeprefix("/"))):
            return found[0]
    return None


def missing() -> str:
    """Why no clock can be set back here."""
    return "" if find_library() else "libfaketime is not installed (Debian: faketime)"


def set_clock_back(shop: Workshop, place: Path, times: int) -> Finding:
    """Set the clock that a study sees an hour back, again and again, while it trains."""
    clock = place / "clock"
    clock.write_text("+0")
    faked = {
        "LD_PRELOAD": str(find_library()),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        # What measures time, and no clock on the wall, is not set by anybody.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    study = shop.begin_with_mlflow(place, searching(times))
    lost, recoveries = list[str](), list[float]()
    with Starter(faked) as starter:
        command = starter.start("run", study.file, cwd=place)
        for number in itertools.count(1):
            _wait_for_epochs(study, 8 * number, command)
            if number > times:
                break
            back = time.monotonic()
            known = len(study.records("epoch"))
            clock.write_text(f"-{number * _HOUR_S}")
            _wait_for_epochs(study, known + 1, command)
            recoveries.append(time.monotonic() - back)
        command.wait()
    if command.code:
        lost.append(f"exit code {command.code}: {command.said()}")
    records = study.records()
    if any(earlier.time > later.time for earlier, later in itertools.pairwise(records)):
        lost.append("the journal's times go back")
    # As it stands in the journal the study began now and never went back; an unset clock would go on.
    if time.time() - records[-1].time < 0:
        lost.append("the journal's times lie in the future")
    for trial in study.folder.history().trials.values():
        if trial.metrics.get("train_time_s", 0.0) < 0:
            lost.append(f"trial {trial.number} took {trial.metrics['train_time_s']} s")
    lost += shop.find_lost(study, f"sqlite:///{place / 'mlflow.db'}")
    return Finding(times, tuple(lost), tuple(recoveries))


def _wait_for_epochs(study, epochs: int, command) -> None:
    deadline = time.monotonic() + 60
    while len(study.records("epoch")) < epochs and command.code is None:
        assert time.monotonic() < deadline, command.said()
        time.sleep(0.01)


FAULTS = (
    Fault(
        "clock set back",
        "libfaketime sets the clock of the conductor, which trains by itself, and of the mirror an hour back "
        "while a study trains, again and again",
        "from setting it to the next epoch",
        set_clock_back,
        missing=missing,
        counted="times set, one study",
    ),
)
