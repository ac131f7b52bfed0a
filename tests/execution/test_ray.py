"""Jobs on a Ray cluster: the contract of every executor, and what is Ray's own."""

import os
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from archsearch.errors import ExecutionError, StudyError
from archsearch.execution import Devices, build_executor, choose_devices, choose_threads
from archsearch.execution.ray_cluster import Share, connect
from archsearch.study.settings import DataSettings, ExecutionSettings, TrainingSettings
from archsearch.training.values import Compute, EpochReport, Job, Pack
from tests.execution import test_executors, trainings
from tests.execution.test_executors import drain, make_job, results, run_one

ray = pytest.importorskip("ray", reason="Ray is an extra that is not installed")

from archsearch.execution.ray_executor import RayExecutor  # noqa: E402

pytestmark = pytest.mark.ray

STORE_BYTES = 100_000_000
QUIET = {"include_dashboard": False, "object_store_memory": STORE_BYTES}


@pytest.fixture(scope="module")
def this_machine():
    """A cluster of this machine, to which executors of this process connect; its GPUs are claimed only."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(address="local", num_cpus=2, num_gpus=2, log_to_driver=False, logging_level="CRITICAL", **QUIET)
    yield
    ray.shutdown()


def node(cpus, gpus=0, *, alive=True):
    return {"Alive": alive, "Resources": {"CPU": cpus, "GPU": gpus}}


@pytest.mark.parametrize(
    ("share", "slots"),
    [
        (Share(1, 0), 8 + 3),
        (Share(2, 0), 4 + 1),
        (Share(0.5, 0), 16 + 6),
        (Share(1, 1), 4),
        (Share(1, 2), 2),
        (Share(1, 0.5), 8),
        (Share(0.1, 0.3), 4 * 3),
        (Share(0.1, 0.1), 4 * 10),
        (Share(4, 1), 2),
        (Share(9, 0), 0),
    ],
)
def test_slots_are_what_fits_on_each_node(share, slots):
    assert share.count_in([node(8, 4), node(3), node(64, 8, alive=False)]) == slots


def test_a_share_is_as_set_or_follows_the_devices():
    share = {"executor": "ray", "address": "head:6379", "cpus_per_trial": 2.0}
    fraction = ExecutionSettings(**share, gpus_per_trial=0.25)
    cuda = ExecutionSettings(**share, device="cuda")
    cpu = ExecutionSettings(**share, device="cpu")

    assert [choose_devices(s).kind for s in (fraction, cuda, cpu)] == ["cuda", "cuda", "cpu"]
    assert [choose_threads(s, choose_devices(s)) for s in (fraction, cuda, cpu)] == [2, 2, 2]
    executors = [build_executor(settings) for settings in (fraction, cuda, cpu)]
    assert [executor._share for executor in executors] == [Share(2, 0.25), Share(2, 1), Share(2, 0)]


def test_without_ray_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        StudyError, match=r"execution\.executor: .* got ray\. .* pip install 'archsearch\[ray\]'"
    ):
        build_executor(ExecutionSettings(executor="ray"), devices=Devices("cpu"))


def test_an_address_that_does_not_answer_is_an_error_in_bounded_time():
    began = time.monotonic()
    with (
        pytest.raises(
            ExecutionError, match=r"The Ray cluster at 127\.0\.0\.1:1 cannot be used: no answer within 3 s"
        ),
        connect("127.0.0.1:1", timeout_s=3),
    ):
        pass
    assert time.monotonic() - began < 20


@pytest.mark.slow
class TestRayExecutor(test_executors.TestEveryExecutor):
    @pytest.fixture
    def build(self, this_machine):
        return lambda train: RayExecutor(train, Share(1, 0))


@pytest.mark.slow
def test_a_dead_worker_loses_its_job_alone_and_is_replaced(this_machine):
    with RayExecutor(trainings.misbehave, Share(1, 0)) as executor:
        for trial in range(3):
            executor.submit(make_job(trial, seed=0, pause_s=0.02))
        executor.submit(make_job(9, seed=3))
        ends = results(drain(executor, 60))
        executor.submit(make_job(9, seed=0))
        again = results(drain(executor, 60))

    lost = ends.pop((9, 3))
    assert (lost.outcome, lost.epochs) in [("lost", 0), ("lost", 1)]
    assert lost.reason.startswith("worker died: The actor is dead because its worker process has died.")
    assert len(lost.reason) < 300
    assert [end.outcome for end in ends.values()] == ["complete"] * 3
    assert again[(9, 0)].outcome == "complete"


@pytest.mark.slow
def test_fractions_of_a_gpu_share_it_and_a_worker_keeps_its_own(this_machine):
    with RayExecutor(trainings.name_device, Share(0.5, 1)) as executor:
        assert executor.slots == 2
        for trial in range(2):
            executor.submit(make_job(trial, epochs=10_000, pause_s=0.01))
        seen = {}
        while len(seen) < 2:
            event = executor.wait(60)
            assert isinstance(event, EpochReport)
            seen.setdefault(event.trial, event.metrics["device"])
    assert set(seen.values()) == {0, 1}
    with RayExecutor(trainings.name_device, Share(0.5, 0.5)) as executor:
        assert executor.slots == 4


@pytest.mark.slow
def test_a_trial_that_no_node_has_room_for_is_an_error(this_machine):
    with (
        pytest.raises(
            StudyError,
            match=r"one node .*\(its nodes have 2 CPUs and 2 GPUs\), got '1 CPUs and 3 GPUs per trial'",
        ),
        RayExecutor(trainings.count, Share(1, 3)),
    ):
        pass
    # Its nodes may be added as they are needed.
    with RayExecutor(trainings.count, Share(1, 3), workers=4) as executor:
        assert executor.slots == 4


@pytest.mark.slow
def test_workers_that_never_come_up_are_an_error(this_machine, tmp_path):
    (tmp_path / "only_here.py").write_text("def train(job): yield\n")
    sys.path.insert(0, str(tmp_path))
    try:
        from only_here import train

        with (
            RayExecutor(train, Share(1, 0)) as executor,
            pytest.raises(ExecutionError, match=r"5 workers in a row could not be started: .*only_here"),
        ):
            run_one(executor)
    finally:
        sys.path.remove(str(tmp_path))


@pytest.mark.slow
def test_other_versions_are_an_error(this_machine, monkeypatch):
    monkeypatch.setattr(
        "archsearch.execution.ray_handle.find_versions", lambda: {"archsearch": "0.0", "torch": "1"}
    )
    with (
        RayExecutor(trainings.count, Share(1, 0)) as executor,
        pytest.raises(ExecutionError, match=r"this machine archsearch 0\.0 and torch 1\. Install the same"),
    ):
        run_one(executor)


def real_job(trial, data, folder, *, seed=0, epochs=2):
    from archsearch.architecture import resolve_architecture

    architecture = resolve_architecture({"block": "residual", "depth": 8, "width": 4})
    weights = str(folder / f"{trial}" / f"{seed}.safetensors")
    training = TrainingSettings(epochs=epochs, augmentation="crop_flip")
    return Job(trial, seed, architecture, training, data, Compute(), weights_path=weights)


@pytest.fixture
def images(tmp_path):
    """A data set in a file of this machine."""
    random = np.random.default_rng(0)
    path = tmp_path / "images.npz"
    np.savez(path, x=random.integers(0, 256, (200, 3, 8, 8), dtype=np.uint8), y=np.arange(200) % 4)
    return DataSettings(name="arrays", root=str(path))


@pytest.mark.slow
def test_data_are_put_once_and_never_read_by_workers_and_weights_come_back(
    this_machine, images, tmp_path, monkeypatch
):
    from archsearch.data import load_dataset

    put = ray.put
    puts = []
    monkeypatch.setattr(ray, "put", lambda value: puts.append(value) or put(value))
    # The conductor has looked at the data, and a worker that looked for it now would find nothing.
    load_dataset(images)
    Path(images.root).unlink()
    settings = ExecutionSettings(executor="ray")
    with build_executor(settings, devices=Devices("cpu")) as executor:
        for trial in range(4):
            executor.submit(real_job(trial, images, tmp_path))
        executor.submit(Pack((real_job(5, images, tmp_path), real_job(5, images, tmp_path, seed=1))))
        ends = results(drain(executor, 100))
    with build_executor(ExecutionSettings(executor="inline"), devices=Devices("cpu")) as executor:
        executor.submit(real_job(4, images, tmp_path))
        inline = results(drain(executor))[(4, 0)]

    assert [end.outcome for end in ends.values()] == ["complete"] * 6, [end.reason for end in ends.values()]
    assert len(puts) == 1
    expected = (tmp_path / "4" / "0.safetensors").read_bytes()
    for trial in range(4):
        assert ends[trial, 0].metrics["val_loss"] == inline.metrics["val_loss"]
        assert [path.read_bytes() for path in (tmp_path / f"{trial}").iterdir()] == [expected]
    of_pack = {path.name: path.stat().st_size for path in (tmp_path / "5").iterdir()}
    assert of_pack == {"0.safetensors": len(expected), "1.safetensors": len(expected)}


@pytest.mark.slow
def test_workers_read_the_data_where_ray_keeps_them(this_machine):
    with RayExecutor(trainings.look_at_data, Share(1, 0)) as executor:
        executor.submit(make_job())
        (report, _) = drain(executor, 60)
    assert report.metrics == {"in the store": 1.0}


@pytest.mark.slow
def test_data_that_cannot_be_loaded_fail_their_trial_alone(this_machine, tmp_path):
    missing = DataSettings(name="arrays", root=str(tmp_path / "nowhere.npz"))
    with RayExecutor(trainings.count, Share(1, 0)) as executor:
        executor.submit(real_job(0, missing, tmp_path))
        executor.submit(make_job(1))
        ends = results(drain(executor, 60))
    assert (ends[(0, 0)].outcome, ends[(1, 0)].outcome) == ("failed", "complete")
    assert "nowhere.npz" in ends[(0, 0)].reason


@pytest.mark.slow
def test_several_processes_of_one_node_train_a_trial_and_end_with_their_worker(
    this_machine, images, tmp_path
):
    from archsearch.data import load_dataset

    load_dataset(images)
    # ranks have the data from their worker, which has them from the store
    Path(images.root).unlink()
    settings = ExecutionSettings(executor="ray", devices_per_trial=2)
    with build_executor(settings, devices=Devices("cpu")) as executor:
        assert executor.slots == 1
        for trial in range(2):
            executor.submit(real_job(trial, images, tmp_path))
        ends = results(drain(executor, 200))
        executor.submit(real_job(2, images, tmp_path, epochs=500))
        executor.wait(60)
        ranks = [p for p in psutil.process_iter(["cmdline"]) if is_of_a_worker(p)]
        assert len(ranks) >= 2
    with build_executor(ExecutionSettings(executor="inline"), devices=Devices("cpu")) as executor:
        executor.submit(real_job(4, images, tmp_path))
        alone = results(drain(executor))[(4, 0)]
    _, left = psutil.wait_procs(ranks, timeout=10)

    assert [end.outcome for end in ends.values()] == ["complete"] * 2, [end.reason for end in ends.values()]
    weights = [(tmp_path / f"{trial}" / "0.safetensors").read_bytes() for trial in range(2)]
    assert weights[0] == weights[1]
    assert ends[0, 0].metrics["val_loss"] == pytest.approx(alone.metrics["val_loss"], rel=1e-3)
    assert [p for p in left if p.status() != psutil.STATUS_ZOMBIE] == []


def is_of_a_worker(process):
    """Whether a process is below one of Ray's workers."""
    try:
        return any("RayWorker" in " ".join(parent.cmdline()) for parent in process.parents())
    except psutil.Error:
        return False
