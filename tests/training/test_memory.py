"""Memory on Apple's GPUs, without one."""

from types import SimpleNamespace

import psutil
import pytest
import torch

from archsearch.training import hardware
from archsearch.training.memory import MemoryMeter, measure_free_mib

_MIB = 2**20


@pytest.fixture
def mps(monkeypatch):
    """Metal's allocator: what it has taken, in MiB, and whether it was told to return it."""
    driver = SimpleNamespace(taken_mib=100, returned=0)

    def give_back():
        driver.returned += 1

    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: driver.taken_mib * _MIB)
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 9_000 * _MIB)
    monkeypatch.setattr(torch.mps, "empty_cache", give_back)
    return driver


def test_the_peak_is_what_the_driver_gave_since_the_training_began(mps):
    meter = MemoryMeter(torch.device("mps"))
    for taken_mib in (300, 800, 700):
        mps.taken_mib = taken_mib
        meter.sample()

    assert mps.returned == 1
    assert meter.peak_mib() == 700


@pytest.mark.parametrize(("available_mib", "free_mib"), [(20_000, 8_900), (5_000, 5_000)])
def test_free_is_what_metal_recommends_and_the_machine_has(mps, monkeypatch, available_mib, free_mib):
    machine = SimpleNamespace(available=available_mib * _MIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: machine)

    assert measure_free_mib("mps") == free_mib


@pytest.mark.parametrize("new", [True, False])
def test_bfloat16_is_tried_on_systems_that_know_it(monkeypatch, new):
    monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda major, minor: new)

    assert hardware.computes_bf16("mps") is new
