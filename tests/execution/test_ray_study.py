"""Studies on a Ray cluster, from the command or the API to weights and exported networks."""

import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest

from archsearch.application.exporting import export_study
from archsearch.application.loading import load
from archsearch.application.running import run_study
from archsearch.journal import RunFolder, read_journal
from archsearch.study import parse_study
from tests.command_line import start

ray = pytest.importorskip("ray", reason="Ray is an extra that is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.ray,
    pytest.mark.skipif(sys.platform != "linux", reason="several Ray nodes on one machine need Linux"),
]

SWEEP = """
name: NAME
data: {name: digits, train_limit: 256}
architecture: {width: 4}
sweep: {block: [plain, residual], depth: [8, 14, 20]}
training: {epochs: 6, batch_size: 32, precision: 32}
execution: EXECUTION
tracking: {enabled: false}
"""
NODE = {"object_store_memory": 100_000_000, "node_ip_address": "127.0.0.1"}


def study(name, execution):
    return parse_study(SWEEP.replace("NAME", name).replace("EXECUTION", execution), "study.yaml")


@pytest.fixture
def cluster(monkeypatch):
    """A cluster of a head that trains nothing and two nodes of one CPU each, on this machine."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster = Cluster(
        initialize_head=True, head_node_args={**NODE, "num_cpus": 0, "include_dashboard": False}
    )
    for _ in range(2):
        cluster.add_node(**NODE, num_cpus=1, wait=False)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


def kill_a_training_node(cluster):
    """Kill a node as losing its power would: its raylet, and every process under it."""
    raylets = [p for p in psutil.Process().children() if p.name() == "raylet"]
    families = [[raylet, *raylet.children(recursive=True)] for raylet in raylets]
    lost = next(f for f in families if any("RayWorker" in " ".join(p.cmdline()) for p in f))
    for process in lost:
        process.kill()


def test_a_node_killed_in_the_middle_costs_nothing_but_time(cluster, tmp_path, capfd, monkeypatch):
    # As many threads inline as a trial has on the cluster: the same bits come out.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    killed = []

    def kill_once(record):
        # In the third epoch of whatever replicate gets there first.
        if record.kind == "epoch" and record.fields["epoch"] == 2 and not killed:
            kill_a_training_node(cluster)
            killed.append(record)
        # Another takes its place later on.
        if record.kind == "replicate" and len(killed) == 1:
            cluster.add_node(**NODE, num_cpus=1, wait=False)
            killed.append(record)

    on_ray = study("on-ray", f"{{executor: ray, address: '{cluster.address}', checkpoint_every_s: 0}}")
    outcome = run_study(on_ray, runs_folder=tmp_path, listen=kill_once)
    inline = run_study(study("inline", "{executor: inline}"), runs_folder=tmp_path)

    assert outcome.counts == {"complete": 6}
    records = read_journal(outcome.folder.journal)
    (session,) = [record.fields for record in records if record.kind == "session"]
    assert (session["executor"], session["slots"]) == ("ray", 2)
    ends = Counter(
        (record.fields["trial"], record.fields["seed"], record.fields["outcome"])
        for record in records
        if record.kind == "replicate"
    )
    complete = [key for key in ends if key[2] == "complete"]
    lost = [key for key in ends if key[2] == "lost"]
    assert len(complete) == 6
    assert len(lost) in (1, 2)
    assert set(ends) == {*complete, *lost}
    assert set(ends.values()) == {1}
    for number, trial in outcome.history.trials.items():
        for seed, replicate in trial.replicates.items():
            twin = inline.history.trials[number].replicates[seed]
            assert [epoch["val_loss"] for epoch in replicate.epochs] == [
                epoch["val_loss"] for epoch in twin.epochs
            ]
            assert replicate.attempts == 1 + ((number, seed, "lost") in ends)
            # it goes on from where its node had come to, if that had reported two epochs
            assert replicate.note.startswith("went on after epoch") or not replicate.note
            assert outcome.folder.weights(number, seed).read_bytes() == (
                inline.folder.weights(number, seed).read_bytes()
            )
            # All but what is measured with a clock.
            assert {**replicate.test, "latency_ms": 0} == {**twin.test, "latency_ms": 0}
    assert capfd.readouterr() == ("", "")

    export_study("on-ray", tmp_path / "exported", formats=["python"], runs_folder=tmp_path)
    assert not load(tmp_path / "exported").training


@pytest.fixture
def ray_folder():
    """A folder of a short name: Ray's sockets lie in it, whose names are limited to 107 letters."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def start_run(tmp_path, ray_folder, epochs):
    text = SWEEP.replace("NAME", "alone").replace("EXECUTION", "{executor: ray}")
    (tmp_path / "alone.yaml").write_text(text.replace("epochs: 6", f"epochs: {epochs}"))
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    return start(
        "run", "alone.yaml", "--json", cwd=tmp_path, env={**environment, "RAY_TMPDIR": str(ray_folder)}
    )


def left_over(process, ray_folder, timeout_s=15):
    """Processes of the run that are still there: Ray names its folder, workers lie below."""
    deadline = time.monotonic() + timeout_s
    while alive := [p for p in psutil.process_iter() if belongs_to(p, process.pid, ray_folder)]:
        if time.monotonic() > deadline:
            return alive
        time.sleep(0.1)
    return []


def belongs_to(process, session, ray_folder):
    try:
        named = str(ray_folder) in " ".join(process.cmdline())
        return (named or os.getsid(process.pid) == session) and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


def test_without_an_address_a_cluster_is_started_and_ended(tmp_path, ray_folder):
    with start_run(tmp_path, ray_folder, epochs=1) as process:
        out, err = process.communicate()
        assert process.returncode == 0, err
        assert json.loads(out)["trials"] == {"complete": 6}
        assert not re.search(r"raylet|WARN|\[\d{4}-", err)
        assert left_over(process, ray_folder) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_process(tmp_path, ray_folder, how):
    folder = RunFolder(tmp_path / "runs" / "alone")
    with start_run(tmp_path, ray_folder, epochs=500) as process:
        while not (folder.journal.exists() and '"kind":"epoch"' in folder.journal.read_text()):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.1)
        # Ctrl-C reaches the whole group of the terminal; the second one does not wait for what is trained.
        for _ in range(2 if how == signal.SIGINT else 1):
            os.killpg(process.pid, how)
            time.sleep(0.5)
        _, err = process.communicate(timeout=30)
        assert left_over(process, ray_folder) == []
    assert "Traceback" not in err
    kinds = [record.kind for record in read_journal(folder.journal)]
    assert (kinds[-1] == "interrupted") == (how == signal.SIGINT)
