"""Memory that does not suffice, for real: a process that may have no more than so much."""

import subprocess
import sys

import pytest

from archsearch.training.failure import is_out_of_memory

pytestmark = pytest.mark.slow

SCRIPT = """
import resource
from tests.training.conftest import run_job, small_job

assert run_job(small_job(training={"epochs": 1}))[1].outcome == "complete"
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 300 * 2**20,) * 2)
job = small_job(architecture={"width": 512}, training={"epochs": 1, "batch_size": 300})
reports, result = run_job(job)
print(len(reports), result.outcome, result.reason, result.metrics)
# The process is as good as before.
print(run_job(small_job(training={"epochs": 1}))[1].outcome)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")
def test_a_network_too_large_for_the_memory_is_a_failure_and_the_worker_lives():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["0 failed out of memory {}", "complete"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error, expected):
    assert is_out_of_memory(error) is expected
