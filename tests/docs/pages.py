"""The pages of the repository, and the code blocks and links in them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from docs_build.reference import fill_in

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
        *(ROOT / "experiments").rglob("*.md"),
    ]
)

TOO_LONG_S = 400
"""What no line of a page takes; one that waits for somebody is noticed by it."""

_FENCE = re.compile(r"^(`{3,})(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
# It may go on in the next line, and ends with its paragraph.
_SPAN = re.compile(r"(?<!`)`((?:[^`\n]|\n(?!\s*\n))+)`(?!`)")
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class CodeBlock:
    """A fenced block.

    Attributes:
        title: Name of the file that it should be written to; empty where none is given.
        place: Page and line, for messages.
    """

    language: str
    title: str
    text: str
    place: str


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def read_blocks(path: Path) -> list[CodeBlock]:
    """The fenced blocks of a page, those of its generated part among them."""
    text = fill_in(path.read_text(encoding="utf-8"))
    return [
        CodeBlock(
            match[2], match[3] or "", match[4], f"{name_of(path)}:{text[: match.start()].count(chr(10)) + 1}"
        )
        for match in _FENCE.finditer(text)
    ]


def read_prose(path: Path) -> str:
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def read_spans(path: Path) -> list[str]:
    """The code in the lines of a page's text, each in one line."""
    return [" ".join(span.split("\n")) for span in _SPAN.findall(read_prose(path))]


def read_links(path: Path) -> Iterator[str]:
    return iter(_LINK.findall(_SPAN.sub("code", read_prose(path))))


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    headings = _HEADING.findall(read_prose(path))
    plain = [re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading).replace("`", "") for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in plain}


def run_lines(command: Sequence[str], folder: Path, environment: Mapping[str, str], what: str) -> str:
    """Run a program that must succeed, which nobody answers; returns what it printed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=TOO_LONG_S,
    )
    assert done.returncode == 0, f"{what}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout
