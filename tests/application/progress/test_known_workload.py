"""What is still to come, judged by what was tried: no network is counted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from archsearch.application.progress import Follower
from archsearch.application.progress.known_workload import KnownWorkload
from archsearch.journal import read_journal
from archsearch.study import parse_study
from tests.application.progress.simulated import TRAIN_IMAGES, TimedExecutor, watch

SWEEP = """
name: s
data: digits
architecture: {block: residual, width: 8}
sweep: {depth: [8, 14, 20, 26, 32, 38, 44, 56]}
include: [resnet20]
seeds: 2
training: {epochs: 5}
"""
SEARCH = """
name: s
data: digits
search: {depth: [8, 14, 20, 26], width: {low: 4, high: 12}}
trials: 16
sampler: random
training: {epochs: 5}
"""


# Of a search nobody knows which networks are still to be sampled.
@pytest.mark.parametrize(("text", "most"), [(SWEEP, 0.05), (SEARCH, 0.3)])
def test_the_time_left_is_foreseen_by_one_who_only_reads(text: str, most: float, tmp_path: Path) -> None:
    watched = watch(text, tmp_path, TimedExecutor(slots=2))
    study = parse_study(text, "study.yaml")
    records = read_journal(tmp_path / "journal.log")
    follower = Follower(study, KnownWorkload(study, TRAIN_IMAGES))
    begun = next(record.time for record in records if record.kind == "session")
    off = []
    for record in records:
        follower.hear(record)
        if record.kind == "told" and record.time - begun > (watched.end - begun) / 3:
            forecast = follower.foresee(record.time)
            off.append(abs(forecast.seconds_left - (watched.end - record.time)) / (watched.end - begun))

    assert len(off) > 3
    assert max(off) < most
    assert follower.foresee(watched.end).frac == 1.0


def test_reading_a_study_needs_no_torch(tmp_path: Path) -> None:
    watch(SWEEP, tmp_path, TimedExecutor(slots=2), until=40)
    script = f"""
import sys
from archsearch.application.progress import Follower
from archsearch.application.progress.known_workload import KnownWorkload
from archsearch.journal import read_journal
from archsearch.study import parse_study
study = parse_study({SWEEP!r}, "study.yaml")
follower = Follower(study, KnownWorkload(study, {TRAIN_IMAGES}))
records = read_journal({str(tmp_path / "journal.log")!r})
for record in records:
    follower.hear(record)
assert follower.look(records[-1].time).forecast.seconds_left > 0
print([name for name in ("torch", "optuna", "mlflow", "scipy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("[]\n", "")
