"""Files outside docs/ that pages link to, and notebooks, become pages: the site is whole without a network.

A link is written as GitHub wants it, relative to the file that it stands in, and rewritten for the site.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = "docs/"
NOTEBOOKS = "docs/notebooks/"
PLACE = "repository/"
"""Folder of the site for what does not come from a page of docs/."""

_LINK = re.compile(r"(\]\()([^()\s]+)((?:\s+\"[^\"]*\")?\))")
_FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
_CODE_SPAN = re.compile(r"(`+[^`]+`+)")
_PICTURES = frozenset({".png", ".svg", ".jpg"})
_LANGUAGES = {
    ".yaml": "yaml",
    ".yml": "yaml",
    ".py": "python",
    ".json": "json",
    ".toml": "toml",
    ".csv": "text",
}


@dataclass(frozen=True)
class Linked:
    """A file that the site takes from the repository.

    Attributes:
        path: Below the root of the repository, with slashes.
        place: Where it stands among the pages.
        content: The page's Markdown; None for a picture, which is copied.
    """

    path: str
    place: str
    content: str | None


def find_linked_files(root: Path) -> list[Linked]:
    """Find all files that are no pages of docs/ and that those lead to, and what these lead to, each once."""
    waiting = [
        (path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted((root / "docs").rglob("*.md"))
    ]
    found: dict[str, Linked] = {}
    while waiting:
        source, markdown = waiting.pop()
        for target in _targets(markdown):
            path = resolve_target(root, source, target)
            if path is None or _is_page(path) or path in found:
                continue
            found[path] = _read(root, path)
            if path.endswith((".md", ".ipynb")):
                waiting.append((path, found[path].content or ""))
    return list(found.values())


def rewrite_links(root: Path, source: str, markdown: str) -> str:
    """Rewrite the links of a page so that they hold in the site.

    Args:
        root: Of the repository.
        source: The page's file, below the root.
        markdown: Its text.
    """
    start = posixpath.dirname(place_of(source))

    def rewrite(match: re.Match[str]) -> str:
        before, target, after = match.groups()
        path = resolve_target(root, source, target)
        if path is None or (_is_page(source) and _is_page(path)):
            return match.group()
        _, hash_mark, anchor = target.partition("#")
        return f"{before}{posixpath.relpath(place_of(path), start)}{hash_mark}{anchor}{after}"

    return _outside_code(markdown, lambda text: _LINK.sub(rewrite, text))


def resolve_target(root: Path, source: str, target: str) -> str | None:
    """The file that a link leads to, below the root; of a folder its README; None where there is none."""
    name = target.partition("#")[0]
    if not name or ":" in name or name.startswith("/"):
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), name))
    if (root / path).is_dir():
        readme = f"{path}/README.md"
        return readme if (root / readme).is_file() else path
    return path if (root / path).is_file() else None


def place_of(path: str) -> str:
    """Where a file of the repository stands among the pages of the site."""
    if _is_page(path):
        return path.removeprefix(DOCS)
    if Path(path).suffix in {".md", *_PICTURES}:
        return PLACE + path
    return f"{PLACE}{path}.md"


def _is_page(path: str) -> bool:
    return path.startswith(DOCS) and not path.startswith(NOTEBOOKS)


def _read(root: Path, path: str) -> Linked:
    suffix = Path(path).suffix
    if suffix in _PICTURES:
        return Linked(path, place_of(path), None)
    if (root / path).is_dir():
        names = sorted(entry.name for entry in (root / path).iterdir() if not entry.name.startswith("__"))
        return Linked(
            path, place_of(path), "\n".join([f"# {path}", "", *(f"- `{name}`" for name in names), ""])
        )
    text = (root / path).read_text(encoding="utf-8")
    if suffix == ".md":
        return Linked(path, place_of(path), text)
    if suffix == ".ipynb":
        return Linked(path, place_of(path), _write_cells(text))
    fence = "`" * max(3, 1 + max((len(ticks) for ticks in re.findall(r"`+", text)), default=0))
    page = f"# {path}\n\n{fence}{_LANGUAGES.get(suffix, 'text')}\n{text.rstrip()}\n{fence}\n"
    return Linked(path, place_of(path), page)


def _write_cells(notebook: str) -> str:
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(notebook)["cells"]]
    return "\n\n".join(text if kind == "markdown" else f"```python\n{text}\n```" for kind, text in cells)


def _targets(markdown: str) -> Iterator[str]:
    found: list[str] = []

    def collect(text: str) -> str:
        found.extend(match.group(2) for match in _LINK.finditer(text))
        return text

    _outside_code(markdown, collect)
    return iter(found)


def _outside_code(markdown: str, change: Callable[[str], str]) -> str:
    """Apply `change` to what is neither a code block nor a code span."""
    lines = []
    fence = ""
    for line in markdown.split("\n"):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark.group(1)
        elif mark and mark.group(1).startswith(fence):
            fence = ""
        elif not fence:
            pieces = _CODE_SPAN.split(line)
            line = "".join(piece if number % 2 else change(piece) for number, piece in enumerate(pieces))
        lines.append(line)
    return "\n".join(lines)
