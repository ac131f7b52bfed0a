"""The mirror as a process of its own: beside the study, out of its way, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from archsearch.tracking import MirrorProcess, MirrorStatus
from archsearch.tracking.mirror import _rest_s
from tests.services import free_port
from tests.tracking.store_content import read_content
from tests.tracking.studies import Study, steps_of_a_varied_study, varied_study

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def wait_for(condition, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
    return value


def test_mirrors_a_study_that_goes_on_and_drains_at_its_end(folder, uri, capfd):
    with MirrorProcess(folder, uri) as mirror:
        # Begun before there is a journal, as the application does.
        steps = steps_of_a_varied_study(Study(folder))
        for _ in range(3):
            next(steps)
        wait_for(lambda: mirror.status.experiment_id)
        for _ in steps:
            pass
        # It says so whenever it has written something, not only at its end.
        wait_for(lambda: mirror.status.runs == 10)
        status = mirror.close()

    assert status == MirrorStatus("done", status.experiment_id, "depth", runs=10, lag=0, error="")
    assert mirror.close() == status
    assert read_content(uri)["study"]["status"] == "FINISHED"
    assert capfd.readouterr() == ("", "")


def test_one_that_is_started_ahead_writes_nothing_until_it_is_told_to(folder, uri):
    steps = steps_of_a_varied_study(Study(folder))
    next(steps)
    messages, store = [], Path(uri.removeprefix("sqlite:///"))
    empty = store.read_bytes()
    mirror = MirrorProcess(folder, uri, on_message=messages.append)
    mirror.wait_until_ready()  # at once: nothing was started
    mirror.start()
    mirror.wait_until_ready(60)
    time.sleep(0.5)
    assert mirror.status == MirrorStatus()
    assert store.read_bytes() == empty

    with mirror:
        wait_for(lambda: mirror.status.experiment_id)
        for _ in steps:
            pass
    assert (mirror.status.state, messages) == ("done", [])


@pytest.mark.parametrize(("written_s", "rest_s"), [(0.0, 0.5), (0.02, 0.5), (0.1, 2.0), (30.0, 5.0)])
def test_writing_takes_a_twentieth_of_its_time_but_the_journal_is_read_every_five_seconds(written_s, rest_s):
    assert _rest_s(written_s) == pytest.approx(rest_s)


def test_one_that_never_began_ends_at_once_and_leaves_nothing(folder, uri):
    varied_study(folder)
    messages, store = [], Path(uri.removeprefix("sqlite:///"))
    empty = store.read_bytes()
    mirror = MirrorProcess(folder, uri, on_message=messages.append)
    mirror.start()
    process, before = mirror._process, time.monotonic()
    assert mirror.close() == MirrorStatus()
    assert time.monotonic() - before < 1  # while MLflow is still being imported
    assert process.returncode is not None
    assert messages == []
    assert store.read_bytes() == empty


CONDUCTOR = """
import sys, time
from pathlib import Path
from archsearch.tracking import MirrorProcess
from tests.tracking.studies import Study
with MirrorProcess(Path(sys.argv[1]), sys.argv[2]) as mirror:
    Study(Path(sys.argv[1])).session().trial(0).started(0).epoch(0, 0, 0.5)
    print(mirror._process.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_outlives_its_conductor_for_as_long_as_it_takes(folder, uri, sent):
    conductor = subprocess.Popen(
        [sys.executable, "-c", CONDUCTOR, str(folder), uri],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    with conductor:
        mirror = psutil.Process(int(conductor.stdout.readline()))
        # Ctrl-C reaches the whole group of a terminal.
        os.killpg(conductor.pid, sent)
        conductor.wait(60)
        psutil.wait_procs([mirror], timeout=60)

    assert not mirror.is_running() or mirror.status() == psutil.STATUS_ZOMBIE
    run = read_content(uri)["trial 0"]
    assert run["metrics"]["train_loss"] == "0.5"
    assert run["status"] == "KILLED"


def test_an_unreachable_server_is_told_once_and_given_up_in_time(folder):
    varied_study(folder)
    messages = []
    uri = f"http://me:secret@127.0.0.1:{free_port()}"
    with MirrorProcess(folder, uri, on_message=messages.append, patience_s=2) as mirror:
        wait_for(lambda: mirror.status.state == "waiting")
        time.sleep(1.5)
        began = time.monotonic()
        status = mirror.close()

    assert time.monotonic() - began < 8
    assert (status.state, status.runs) == ("gave up", 0)
    assert status.lag > 0
    first, last = messages
    assert "cannot be written" in first
    assert "The study goes on" in first
    assert f"`archsearch sync {folder}` brings it there later" in last
    assert "secret" not in first + last + status.error


def test_a_damaged_journal_is_told(folder, uri):
    varied_study(folder).journal.close()
    path = folder / "journal.log"
    path.write_bytes(path.read_bytes().replace(b"Ctrl-C", b"Ctrl-D"))
    messages = []
    with MirrorProcess(folder, uri, on_message=messages.append):
        pass
    assert "checksum" in messages[0]


def test_a_process_that_cannot_even_start_says_why(folder, uri, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    messages = []
    with MirrorProcess(folder, uri, on_message=messages.append) as mirror:
        pass
    assert mirror.status.state == "gave up"
    assert "the mirror ended without a word" in messages[0]


def test_what_comes_and_goes_is_told_once(folder):
    messages = []
    mirror = MirrorProcess(folder, "http://127.0.0.1:9", on_message=messages.append)
    for _ in range(3):
        mirror._take(MirrorStatus("waiting", error="refused"))
        mirror._take(MirrorStatus("following", "1"))
    mirror._take(MirrorStatus("waiting", error="refused"))
    mirror._take(MirrorStatus("gave up", error="refused"))
    assert [message.split(" (")[0].split("9 ")[1] for message in messages] == [
        "cannot be written",
        "answers again.",
        "is not up to date",
    ]
