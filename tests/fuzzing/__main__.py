"""Fuzz the study loader, the journal reader and the architecture builder, guided by coverage.

::

    python -m tests.fuzzing --minutes 5                  all three, so long each
    python -m tests.fuzzing --minutes 30 study           one of them
    python -m tests.fuzzing --record docs/fuzzing.md     a row of the table there for each

What is found is written into tests/fuzzing/findings, where every run and the tests begin; it is mended, and
stays. The inputs that reached something new are kept in build/fuzzing from run to run.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.fuzzing.seeds import FINDINGS, ROOT, list_seeds, list_words
from tests.fuzzing.targets import TARGETS

# An answer takes milliseconds; instrumented, and beside other work, it has this long.
_LONGEST_ANSWER_S = 20
# Above what the libraries take: torch in the last.
_MEMORY_MIB = {"study": 450, "journal": 450, "architecture": 1500}
_LONGEST_INPUT = {"study": 4096, "journal": 8192, "architecture": 64}


@dataclass(frozen=True)
class Run:
    """How one run ended.

    Attributes:
        finding: The file that holds the input that was answered wrongly; None where none was.
        words: The end of what was said.
    """

    target: str
    executions: int
    processor_minutes: float
    finding: Path | None
    words: str


def fuzz(target: str, minutes: float) -> Run:
    """Fuzz a target until the time is over or something is found."""
    corpus = ROOT / "build" / "fuzzing" / target
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in list_seeds(target):
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    dictionary = corpus.with_suffix(".dict")
    dictionary.write_text("".join(f'"{word}"\n' for word in list_words()), encoding="utf-8")
    found_before = set((FINDINGS / target).glob("*"))
    (FINDINGS / target).mkdir(parents=True, exist_ok=True)
    before = os.times()
    process = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "tests.fuzzing.fuzzer", target, str(corpus)),
            *(f"-max_total_time={minutes * 60:.0f}", f"-timeout={_LONGEST_ANSWER_S}"),
            # Or libFuzzer writes down as slow what takes 10 s.
            f"-report_slow_units={_LONGEST_ANSWER_S}",
            *(f"-rss_limit_mb={_MEMORY_MIB[target]}", f"-max_len={_LONGEST_INPUT[target]}"),
            *(f"-dict={dictionary}", f"-artifact_prefix={FINDINGS / target}/", "-print_final_stats=1"),
        ],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    after = os.times()
    used_s = after.children_user + after.children_system - before.children_user - before.children_system
    count = re.findall(r"stat::number_of_executed_units: *(\d+)", process.stdout) or re.findall(
        r"^#(\d+)", process.stdout, re.MULTILINE
    )
    new = sorted(set((FINDINGS / target).glob("*")) - found_before)
    if process.returncode and not new:
        raise SystemExit(f"{target}: the fuzzer ended with {process.returncode}:\n{process.stdout[-4000:]}")
    return Run(target, int(count[-1]) if count else 0, used_s / 60, new[0] if new else None, process.stdout)


def describe_code() -> str:
    """The tree of archsearch that was fuzzed, with a plus sign where something was not committed."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "archsearch")
    return git("rev-parse", "--short", "HEAD:archsearch").strip() + ("+" if changed else "")


def main() -> None:
    """Run, say what was found, and end with 1 where something was."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzzing", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--minutes", type=float, default=5.0, help="of each target, by the clock on the wall")
    parser.add_argument("--record", type=Path, help="a file of Markdown that ends with the table of runs")
    options = parser.parse_args()
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    found = False
    for target in options.targets or TARGETS:
        run = fuzz(target, options.minutes)
        cells = (
            f"{datetime.date.today():%Y-%m-%d}",
            describe_code(),
            target,
            f"{run.executions:,}",
            f"{run.processor_minutes:.1f}",
            "1" if run.finding else "0",
        )
        print(" | ".join(cells), flush=True)
        if run.finding:
            found = True
            print(f"{run.words[-6000:]}\nFound: {run.finding}", flush=True)
        if options.record:
            with options.record.open("a", encoding="utf-8") as file:
                file.write(f"| {' | '.join(cells)} |\n")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
