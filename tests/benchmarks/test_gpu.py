"""The benchmark of GPUs, without one."""

import json
import subprocess
import sys

import pytest
import torch

from archsearch.training.hardware import computes_bf16


def run(*arguments):
    command = [sys.executable, "-m", "benchmarks.gpu", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=580)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_says_so():
    done = run()

    assert done.returncode == 2
    assert done.stderr.startswith("There is no CUDA device here.")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_of_it_runs_on_tiny_tasks(tmp_path):
    output = tmp_path / "gpu.json"

    done = run("--device", "cpu", "--smoke", "--rounds", "2", "--seconds", "0.05", "--output", str(output))

    assert done.returncode == 0, done.stdout[-2000:]
    results = json.loads(output.read_text())["results"]
    assert [row["variant"] for row in results["throughput"]] == [
        "float32",
        "bfloat16, channels last",
        "float32, captured",
        "bfloat16, channels last, captured",
        "packed 2",
    ]
    assert [row["way"] for row in results["trials"]] == [
        "one after the other",
        "packed 2",
        "2 workers",
        "2 workers, packed 2",
    ]
    assert results["sweep"]["trials"] == {"complete": 2}
    measured = "plain-8" if computes_bf16("cpu") else "float32, as there is nothing else to choose"
    assert results["sweep"]["chosen"].startswith(f"Arithmetic: {measured}")
