"""Disks that are full or read-only: mounts of their own."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.faults.fault import Fault, Finding
from tests.faults.killing import searching
from tests.faults.workshop import Study, Workshop

_SIZE_KIB = 8192


@contextlib.contextmanager
def mounted(place: Path) -> Iterator[None]:
    """A small disk of its own in a folder."""
    place.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={_SIZE_KIB}k", "tmpfs", place)
    try:
        yield
    finally:
        # Lazily: a process that was killed may take a moment to let go.
        subprocess.run(["umount", "--lazy", place], check=True)


def remount(place: Path, mode: str) -> None:
    """Make the disk in a folder read-only (``ro``) or writable (``rw``)."""
    _mount("-o", f"remount,{mode}", place)


def _mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


@functools.cache
def cannot_mount() -> str:
    """Why nothing can be mounted here; empty where something can."""
    if os.geteuid():
        return "only root may mount"
    with tempfile.TemporaryDirectory() as folder:
        try:
            with mounted(Path(folder)):
                return ""
        except (OSError, subprocess.CalledProcessError):
            return "mounts are not permitted here"


def fill_disk(shop: Workshop, place: Path, times: int) -> Finding:
    """Fill the disk of the run folder at a random moment, free it, and run the study again."""
    study = shop.begin(place, searching(times))
    disk, lost, recoveries = place / "runs", list[str](), list[float]()
    with mounted(disk):
        ballast = disk / "ballast"
        for number in range(times):
            command = shop.starter.start("run", study.file, cwd=place)
            _wait_for_more(study, number + 1, command)
            _fill(ballast)
            code, said = command.wait(), command.said()
            if not _is_refused(code, said, "No space left on device"):
                lost.append(f"with a full disk: exit code {code}: {said}")
            again = shop.starter.run("run", study.file, cwd=place)
            if not _is_refused(again.code, again.said(), "No space left on device"):
                lost.append(f"started with a full disk: exit code {again.code}: {again.said()}")
            ballast.unlink()
        command = shop.run(study)
        recoveries.append(_first_news(study, command.started))
        lost += shop.find_lost(study)
    return Finding(times, tuple(lost), tuple(recoveries))


def _is_refused(code: int | None, said: str, why: str) -> bool:
    return code == 2 and why in said and "Traceback" not in said


def _fill(ballast: Path) -> None:
    """Take all that is left, by whole blocks and then by bytes."""
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def make_journal_read_only(shop: Workshop, place: Path, times: int) -> Finding:
    """Make the run folder's disk read-only after a kill, run, make it writable, and go on."""
    study = shop.begin(place, searching(times))
    disk, lost, recoveries = place / "runs", list[str](), list[float]()
    with mounted(disk):
        for number in range(times):
            command = shop.starter.start("run", study.file, cwd=place)
            _wait_for_more(study, number + 1, command)
            command.send(signal.SIGKILL)
            command.wait()
            _remount_when_free(disk)
            before = study.folder.journal.read_bytes()
            refused = shop.starter.run("run", study.file, cwd=place)
            said = refused.said()
            if not _is_refused(refused.code, said, "Read-only file system"):
                lost.append(f"on a read-only disk: exit code {refused.code}: {said}")
            if study.folder.journal.read_bytes() != before:
                lost.append("the journal has changed on a read-only disk")
            remount(disk, "rw")
        command = shop.run(study)
        recoveries.append(_first_news(study, command.started))
        lost += shop.find_lost(study)
    return Finding(times, tuple(lost), tuple(recoveries))


def _remount_when_free(disk: Path) -> None:
    # A process that holds a file for writing, as a fork server's log may be, forbids it for a moment.
    deadline = time.monotonic() + 20
    while True:
        try:
            remount(disk, "ro")
            return
        except subprocess.CalledProcessError:
            assert time.monotonic() < deadline, "the disk stays in use"
            time.sleep(0.05)


def read_data_from_read_only(shop: Workshop, place: Path, times: int) -> Finding:
    """Train on images of a read-only disk, each time in a new study."""
    disk, lost = place / "images", list[str]()
    with mounted(disk):
        _draw_images(disk)
        remount(disk, "ro")
        text = f"""
name: faulty
data: {{name: image_folder, root: {disk}, image_size: 8}}
architecture: {{layout: mlp, width: 8, depth: 3}}
training: {{epochs: 1, batch_size: 16, precision: '32'}}
execution: {{executor: inline}}
"""
        seconds = list[float]()
        for number in range(times):
            study = shop.begin(place / str(number), text)
            seconds.append(_first_news(study, shop.finish(study).started))
            lost += shop.find_lost(study)
    return Finding(times, tuple(lost), tuple(seconds))


def _draw_images(folder: Path) -> None:
    import numpy as np
    from PIL import Image

    generator = np.random.default_rng(0)
    for name in ("dark", "light"):
        (folder / "train" / name).mkdir(parents=True)
        for number in range(30):
            pixels = generator.integers(0, 128, (8, 8, 3), np.uint8) + (128 if name == "light" else 0)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / "train" / name / f"{number}.png")


def _wait_for_more(study: Study, trials: int, command) -> None:
    deadline = time.monotonic() + 60
    while len(study.records("told")) < trials and command.code is None:
        assert time.monotonic() < deadline, command.said()
        time.sleep(0.01)


def _first_news(study: Study, start: float) -> float:
    news = (r.time for r in study.records() if r.kind in ("epoch", "replicate", "told") and r.time > start)
    return min(news) - start


FAULTS = (
    Fault(
        "disk full",
        f"the run folder's disk (tmpfs of {_SIZE_KIB} KiB) is filled to its last byte while a study trains; "
        "the study is started on the full disk too; then the disk is freed",
        "from the last new start to the first news of a training, once",
        fill_disk,
        missing=cannot_mount,
        counted="times filled, one study",
    ),
    Fault(
        "journal on a read-only mount",
        "the run folder's disk is remounted read-only after a kill, the study started, the disk made good",
        "from the last new start to the first news of a training, once",
        make_journal_read_only,
        missing=cannot_mount,
        counted="remounts, one study",
    ),
    Fault(
        "data on a read-only mount",
        "a study of its own each time on images of a disk that is mounted read-only",
        "from the start to the first news of a training: nothing has to recover",
        read_data_from_read_only,
        missing=cannot_mount,
        counted="studies",
    ),
)
