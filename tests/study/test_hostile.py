"""The worst that a study file can do within 2 s and 200 MB is an error message."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from archsearch.errors import StudyError
from archsearch.study import parse_study
from archsearch.study.yaml_reading import decode
from tests.study.hostile import ACCEPTED, REFUSED, text_of

_SECONDS, _MIB = 2.0, 200.0
_TAKES_LONG = ("in every cell", "long to look at", "as many cells", "many choices")


def _cases(studies: dict[str, object]) -> list[object]:
    slow = pytest.mark.slow
    return [
        pytest.param(name, marks=slow if any(part in name for part in _TAKES_LONG) else ())
        for name in studies
    ]


def answer_apart(work: Callable[[], str]) -> tuple[str, float, float]:
    """What some work answers in a process of its own; its processor time; the memory that it took, in MiB."""
    # What is free here would be taken there unseen.
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        before = _mib()
        resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
        try:
            answer = work()
        except BaseException as error:  # noqa: BLE001
            answer = f"!{type(error).__name__}: {error}"
        os.write(writing, f"{_mib() - before:.1f} {answer[:4000]}".encode(errors="replace"))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8", errors="replace") as pipe:
        said = pipe.read()
    _, status, usage = os.wait4(child, 0)
    assert not os.WIFSIGNALED(status), signal.Signals(os.WTERMSIG(status)).name
    mib, _, answer = said.partition(" ")
    return answer, usage.ru_utime + usage.ru_stime, float(mib)


def _mib() -> float:
    """The most memory that this process ever had; forked, it begins with what it has now."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def parse(body: str) -> str:
    try:
        study = parse_study(decode(text_of(body).encode(), "s.yaml"), "s.yaml")
    except StudyError as error:
        return str(error)
    return f"accepted with {len(study.cells())} cells"


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")


@pytest.mark.parametrize("name", _cases(REFUSED))
def test_a_hostile_study_is_refused_within_its_time_and_memory(name: str) -> None:
    body, message = REFUSED[name]

    answer, seconds, mib = answer_apart(lambda: parse(body))

    assert answer.startswith("s.yaml")
    assert message in answer
    assert len(answer) < 1000
    assert (seconds < _SECONDS, mib < _MIB) == (True, True), (seconds, mib)


@pytest.mark.parametrize("name", _cases(ACCEPTED))
def test_a_study_at_its_limits_is_accepted_within_its_time_and_memory(name: str) -> None:
    answer, seconds, mib = answer_apart(lambda: parse(ACCEPTED[name]))

    assert answer.startswith("accepted"), answer
    assert (seconds < _SECONDS, mib < _MIB) == (True, True), (seconds, mib)


def test_time_and_memory_are_really_measured() -> None:
    _, seconds, mib = answer_apart(lambda: str(len([bytearray(1000) for _ in range(250_000)])))

    assert mib > _MIB
    assert seconds > 0.01


# In a process of its own, for a program is charged with the memory of whoever starts it.
_MEASURE = """
import os, subprocess, sys
done = subprocess.Popen(sys.argv[1:], stderr=subprocess.PIPE, text=True)
said = done.stderr.read()
_, status, usage = os.wait4(done.pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said)
"""


# Those that take longest to refuse, each by its stage: reading, building what may be, looking at every cell.
_SLOWEST = (
    "lists in lists",
    "what can never be built, of networks that are long to look at",
    "what can hardly be built, in every cell",
)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        *((command, "a bomb of aliases") for command in ("run", "plan", "describe")),
        *(("run", name) for name in _SLOWEST),
    ],
)
def test_the_whole_command_stays_within_them(command: str, name: str, tmp_path: Path) -> None:
    body, message = REFUSED[name]
    (tmp_path / "s.yaml").write_text(text_of(body))
    program = [sys.executable, "-m", "archsearch", command, str(tmp_path / "s.yaml")]

    found = subprocess.run(
        [sys.executable, "-c", _MEASURE, *program], capture_output=True, text=True, check=True
    )

    code, seconds, mib, said = found.stdout.split(" ", 3)
    assert code == "2"
    assert message in said
    assert (float(seconds) < _SECONDS, float(mib) < _MIB) == (True, True), (seconds, mib)
