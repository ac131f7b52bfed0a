"""Peak memory of a training."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import sys
from pathlib import Path

import psutil
import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
_CGROUP = Path("/sys/fs/cgroup")
_MIB = 2**20

# What a process takes of a GPU before its first tensor: the CUDA context, and kernels as they are loaded.
# Some 500 MiB on present GPUs, taken generously.
CONTEXT_MIB = 800.0


class MemoryMeter:
    """Measures from its making on.

    On CUDA: the most memory that tensors took. On MPS: what torch's allocator took of the driver, and keeps
    until it is told to return it. On a CPU: how far the process's resident memory grew at its peak, so
    kernels that are loaded by the first training of a process count for that one, and memory that the
    allocator kept from an earlier one and gives again does not count at all; a few MiB either way. Where the
    system cannot reset the peak (other than Linux), it is the growth seen at the end of epochs.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._seen_mib = 0.0
        self._start_mib = 0.0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        return_memory(device.type)
        self._has_peak = device.type == "cpu" and _reset_peak()
        self._start_mib = self._used_mib()

    def sample(self) -> None:
        """Look at the memory in use now."""
        if self._device.type != "cuda":
            current = _peak_mib() if self._has_peak else self._used_mib()
            self._seen_mib = max(self._seen_mib, current - self._start_mib)

    def peak_mib(self) -> float:
        """Return the peak so far, in MiB."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) / _MIB
        self.sample()
        return self._seen_mib

    def _used_mib(self) -> float:
        return torch.mps.driver_allocated_memory() / _MIB if self._device.type == "mps" else _resident_mib()


def measure_free_mib(device: str) -> float:
    """Measure the memory that trainings may take: the GPU's, or the machine's up to the container's limit."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0] / _MIB
    if device == "mps":
        # shared with the processor: of what is free there, no more than Metal recommends
        recommended = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        return min(recommended, psutil.virtual_memory().available) / _MIB
    free_mib = psutil.virtual_memory().available / _MIB
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        # without the files that it keeps in memory for as long as there is room
        used = int((_CGROUP / "memory.stat").read_text().split()[1])
    # no control group, or "max": no limit
    except (OSError, ValueError):
        return free_mib
    return min(free_mib, (limit - used) / _MIB)


def return_memory(device: str, *, thoroughly: bool = False) -> None:
    """Give back what earlier trainings freed: to neighbours on a GPU, and to show as growth when taken again.

    Args:
        device: cpu, cuda or mps.
        thoroughly: Whether to look for what an exception may have left, which takes up to half a second.
    """
    if thoroughly:
        gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
    elif device == "mps":
        torch.mps.empty_cache()
    elif sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def limit_memory(workers: int) -> None:
    """Keep this process to its share of the GPU that several workers use: beyond it is out of memory.

    So none of them takes what another was promised, as long as nobody else uses the GPU. The conductor's own
    context comes out of all shares.
    """
    total_mib = torch.cuda.get_device_properties(0).total_memory / _MIB
    torch.cuda.set_per_process_memory_fraction(share_frac(workers, total_mib))


def share_frac(workers: int, total_mib: float) -> float:
    """Share of a GPU's memory for the tensors of each of some workers."""
    return max(0.0, total_mib - (workers + 1) * CONTEXT_MIB) / workers / total_mib


def _reset_peak() -> bool:
    try:
        _CLEAR.write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def _peak_mib() -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
    assert found is not None
    return int(found[1]) / 1024


def _resident_mib() -> float:
    return psutil.Process(os.getpid()).memory_info().rss / _MIB
