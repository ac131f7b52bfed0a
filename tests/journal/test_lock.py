"""One conductor a run folder."""

import os
import signal
import subprocess
import sys

import pytest

from archsearch.errors import RunFolderError
from archsearch.journal import RunFolderLock

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
