"""One conductor a run folder."""

import json
import os
import signal
import socket
import subprocess
import sys
from datetime import datetime
from unittest.mock import ANY

import pytest

from archsearch.errors import RunFolderError
from archsearch.journal import Holder, RunFolderLock, find_holder

HOLD = """
import sys, time
from archsearch.journal import RunFolderLock
with RunFolderLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_holder_is_told_who_has_it(tmp_path):
    with (
        RunFolderLock(tmp_path),
        pytest.raises(RunFolderError, match=rf"in use by another run; process {os.getpid()} on .* since 2\d"),
        RunFolderLock(tmp_path),
    ):
        pass


def test_a_released_folder_can_be_held_again(tmp_path):
    for _ in range(2):
        with RunFolderLock(tmp_path / "new" / "study"):
            pass
    assert not (tmp_path / "new" / "study" / "holder.json").exists()


def test_a_killed_holder_leaves_no_lock(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with (
            pytest.raises(RunFolderError, match=rf"process {process.pid} on .*kill {process.pid}\."),
            RunFolderLock(tmp_path),
        ):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()

    with RunFolderLock(tmp_path):
        pass


def test_a_folder_below_a_file_is_one_paragraph(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(RunFolderError, match="must be writable"), RunFolderLock(tmp_path / "runs" / "study"):
        pass


def write_holder(folder, **changed):
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": now} | changed
    (folder / "holder.json").write_text(json.dumps(holder))


def test_who_holds_a_folder_is_seen_without_taking_its_lock(tmp_path):
    assert find_holder(tmp_path) is None
    with RunFolderLock(tmp_path):
        before = sorted(tmp_path.iterdir())
        holder = find_holder(tmp_path)

        assert (holder.pid, holder.host) == (os.getpid(), socket.gethostname())
        assert sorted(tmp_path.iterdir()) == before
    assert find_holder(tmp_path) is None


def test_a_holder_that_was_killed_holds_nothing(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        assert find_holder(tmp_path).pid == process.pid
        process.send_signal(signal.SIGKILL)
        # Dead, and not yet waited for.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert find_holder(tmp_path) is None
    assert (tmp_path / "holder.json").exists()
    assert find_holder(tmp_path) is None


def test_a_later_process_of_the_same_number_holds_nothing(tmp_path):
    write_holder(tmp_path)
    assert find_holder(tmp_path) is not None

    write_holder(tmp_path, since="2020-01-01 00:00:00+00:00")
    assert find_holder(tmp_path) is None


def test_a_holder_on_another_machine_counts(tmp_path):
    write_holder(tmp_path, host="elsewhere", pid=4711)

    assert find_holder(tmp_path) == Holder(4711, "elsewhere", ANY)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"pid": "x"}', '{"pid": 1e999, "host": "", "since": ""}', "[" * 99999]
)
def test_what_names_nobody_holds_nothing(text, tmp_path):
    (tmp_path / "holder.json").write_text(text)

    assert find_holder(tmp_path) is None
