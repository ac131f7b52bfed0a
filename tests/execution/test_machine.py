"""What a machine offers."""

import os

import pytest

from archsearch.errors import StudyError
from archsearch.execution import (
    Devices,
    InlineExecutor,
    LocalExecutor,
    build_executor,
    choose_devices,
    count_cores,
    count_threads,
    count_workers,
    find_devices,
    machine,
)
from archsearch.execution.machine import group_devices
from archsearch.execution.together import TrainTogether
from archsearch.study.settings import ExecutionSettings
from archsearch.training import train
from tests.execution import trainings


@pytest.fixture
def eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "250000 100000"}, 3),
        ({"cpu.max": "1000 100000"}, 1),
        ({"cpu.max": "6400000 100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
    ],
)
def test_cores_are_those_of_the_affinity_and_the_quota(tmp_path, eight_cores, files, cores):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert count_cores(tmp_path) == cores


def test_workers_are_one_a_device_or_as_set():
    auto = ExecutionSettings()
    assert count_workers(auto, Devices("cpu")) == count_cores()
    assert count_workers(auto, Devices("cuda", ("2", "5", "6"))) == 3
    assert count_workers(auto, Devices("mps")) == 1
    assert count_workers(ExecutionSettings(workers=7), Devices("cuda", ("0",))) == 7
    assert count_workers(ExecutionSettings(executor="inline", workers=7), Devices("cpu")) == 1


def test_several_devices_a_trial_leave_room_for_fewer_trials(monkeypatch):
    monkeypatch.setattr(machine, "count_cores", lambda: 8)
    three = ExecutionSettings(devices_per_trial=3)
    five = Devices("cuda", ("0", "1", "2", "3", "GPU-8f"))
    assert count_workers(three, five) == 1
    assert group_devices(five, 3) == ("0,1,2",)
    assert group_devices(five, 2) == ("0,1", "2,3")
    assert group_devices(five, 1) == five.cuda
    assert count_workers(ExecutionSettings(devices_per_trial=2), Devices("cpu")) == 4
    assert count_workers(ExecutionSettings(devices_per_trial=64), Devices("cpu")) == 1
    assert count_workers(ExecutionSettings(executor="ray", devices_per_trial=3), Devices("cpu")) == 2


def test_more_devices_a_trial_than_there_are_is_the_users_error(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert choose_devices(ExecutionSettings(devices_per_trial=2)) == Devices("cuda", ("0", "1"))
    with pytest.raises(
        StudyError,
        match=r"execution\.devices_per_trial: must be at most 2, the number of this machine's devices "
        r"\(cuda\), got 3\. With `device: cpu` processes take their place\.",
    ):
        choose_devices(ExecutionSettings(devices_per_trial=3))
    # processes share the cores
    assert choose_devices(ExecutionSettings(devices_per_trial=3, device="cpu")) == Devices("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(StudyError, match=r"must be at most 1, the number of this machine's devices \(mps\)"):
        choose_devices(ExecutionSettings(devices_per_trial=2))


def test_one_device_a_trial_costs_no_further_process():
    inline = ExecutionSettings(executor="inline")
    assert build_executor(inline, devices=Devices("cpu"))._train is train
    several = inline.model_copy(update={"devices_per_trial": 2})
    assert isinstance(build_executor(several, devices=Devices("cpu"))._train, TrainTogether)


def test_workers_share_gpus_as_set_or_else_as_measured():
    two = Devices("cuda", ("0", "1"))
    assert count_workers(ExecutionSettings(), two, per_device=3) == 6
    assert count_workers(ExecutionSettings(workers_per_device=2), two, per_device=3) == 4
    assert count_workers(ExecutionSettings(workers=5), two, per_device=3) == 5
    assert count_workers(ExecutionSettings(workers_per_device=2), Devices("cpu")) == count_cores()
    assert count_workers(ExecutionSettings(), Devices("mps"), per_device=3) == 1


def test_threads_use_every_core_once(eight_cores, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [count_threads(workers) for workers in (1, 3, 8, 1000)] == [count_cores(), 2, 1, 1]


def test_omp_num_threads_is_the_most_that_a_worker_takes(eight_cores, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert [count_threads(workers) for workers in (1, 2, 4)] == [3, 3, 2]


def test_cuda_devices_keep_the_names_that_the_environment_gives(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-8f")
    assert find_devices("auto") == Devices("cuda", ("3", "GPU-8f"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert find_devices("cuda") == Devices("cuda", ("0", "1"))


def test_a_device_that_is_not_there_is_the_users_error(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert find_devices("auto") == Devices("cpu")
    with pytest.raises(
        StudyError, match=r"execution\.device: must be a device that this machine has, got cuda"
    ):
        find_devices("cuda")


def test_settings_choose_the_executor():
    inline = build_executor(
        ExecutionSettings(executor="inline"), devices=Devices("cpu"), train=trainings.count
    )
    local = build_executor(ExecutionSettings(workers=3), devices=Devices("cpu"), train=trainings.count)
    assert isinstance(inline, InlineExecutor)
    assert isinstance(local, LocalExecutor)
    assert (inline.slots, local.slots) == (1, 3)
