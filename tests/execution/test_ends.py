"""What worker processes leave when the process that started them ends."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CONDUCTOR = """
import os, sys
from tests.execution import trainings
from tests.execution.test_executors import make_job
from archsearch.execution import LocalExecutor

# No guard of the main module: workers must not run this script again.
print("script", flush=True)
with LocalExecutor(getattr(trainings, sys.argv[2]), 2, start_method=sys.argv[1]) as executor:
    for trial in range(2):
        executor.submit(make_job(trial, epochs=5, pause_s=0.02))
    for _ in range(2):
        executor.wait(30)
    print(*executor.worker_pids, flush=True)
    while executor.wait(30) is not None:
        pass
print("end", flush=True)
"""


def start_conductor(tmp_path, method, training):
    script = tmp_path / "conductor.py"
    script.write_text(textwrap.dedent(CONDUCTOR))
    return subprocess.Popen(
        [sys.executable, str(script), method, training],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize("method", ["forkserver", pytest.param("spawn", marks=pytest.mark.slow)])
def test_no_orphan_survives_a_killed_conductor(tmp_path, method):
    with start_conductor(tmp_path, method, "linger") as conductor:
        assert conductor.stdout.readline() == "script\n"
        conductor.stdout.readline()
        family = psutil.Process(conductor.pid).children(recursive=True)
        assert len(family) >= 3
        conductor.send_signal(signal.SIGKILL)
        conductor.wait()
        _, alive = psutil.wait_procs(family, timeout=5)

    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def test_a_plain_end_is_clean_and_runs_the_script_once(tmp_path):
    with start_conductor(tmp_path, "forkserver", "count") as conductor:
        out, err = conductor.communicate(timeout=60)

    assert conductor.returncode == 0
    assert err == ""
    assert (out.count("script"), out.count("end")) == (1, 1)
