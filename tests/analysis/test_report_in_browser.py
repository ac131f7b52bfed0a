"""The page in a real browser: it opens fast, and no width makes it wider than the screen."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.analysis.test_report_page import errors, sweep, write
from tests.analysis.trials import cell, trial

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
# Told by the page itself, at its end; to ask for the width has all laid out.
TELL = """
<script>
const page = document.documentElement;
page.setAttribute("data-told", `${page.scrollWidth} ${innerWidth} ${Math.round(performance.now())}`);
</script>
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
]


def open_page(text: str, width: int, folder: Path) -> tuple[int, int, int]:
    """Width of the page, width of the window, milliseconds until it is laid out."""
    page = folder / "page.html"
    page.write_text(text.replace("</body>", f"{TELL}</body>"), encoding="utf-8")
    command = [CHROMIUM, *FLAGS, f"--window-size={width},900", "--timeout=20000", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    told = re.search(r'data-told="(\d+) (\d+) (\d+)"', done.stdout)
    assert told is not None, done.stderr[-2000:]
    wide, window, milliseconds = map(int, told.groups())
    return wide, window, milliseconds


@pytest.mark.parametrize("width", [1200, 500])
def test_a_report_is_no_wider_than_the_window(width: int, tmp_path: Path) -> None:
    wide, window, _ = open_page(write(sweep([8, 20, 56, 110]), tmp_path / "report.html"), width, tmp_path)
    assert window <= width
    assert wide <= window


def test_the_largest_opens_in_under_three_seconds(tmp_path: Path) -> None:
    profile = {"gradient_norm": [1.0] * 50, "response_std": [1.0] * 50}
    epochs = tuple({"train_loss": 1.0, "val_error": 0.5} for _ in range(50))
    trials = []
    for number in range(500):
        depth, place = 8 + 6 * (number % 10), cell("plain", 8, **{"architecture.width": number // 10})
        one = trial(
            number, depth, errors(0.1, 0.11 + number / 5000), cell={**place, "architecture.depth": depth}
        )
        seeds = {
            seed: replace(known, epochs=epochs, profiles={0: profile, 49: profile})
            for seed, known in one.replicates.items()
        }
        trials.append(replace(one, replicates=seeds))
    text = write(trials, tmp_path / "report.html")

    wide, window, milliseconds = open_page(text, 500, tmp_path)

    assert wide <= window
    assert milliseconds < 3000
