"""Why a training failed, in words that stand in the journal."""

from __future__ import annotations

import traceback

import torch

from archsearch.errors import ArchsearchError

# torch raises plain RuntimeErrors for these: the allocator of the CPU, oneDNN, MPS, C++'s own.
_OUT_OF_MEMORY = ("can't allocate memory", "could not create a memory", "out of memory", "bad_alloc")
_TRACEBACK_LINES = 8


def describe_failure(error: Exception) -> str:
    """Return ``out of memory``, the message of our own errors, or type, message and the traceback's end."""
    if is_out_of_memory(error):
        return "out of memory"
    if isinstance(error, ArchsearchError):
        return str(error)
    lines = "".join(traceback.format_tb(error.__traceback__)).splitlines()[-_TRACEBACK_LINES:]
    return "\n".join([f"{type(error).__name__}: {error}", *lines])


def is_out_of_memory(error: Exception) -> bool:
    """Whether this is the device's or the machine's memory that did not suffice."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)
