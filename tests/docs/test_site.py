"""The site builds without a warning, whole, and asks nothing of other machines."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.pages import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("mkdocs") is None, reason="mkdocs is not installed: pip install '.[docs]', or make docs"
    ),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


class _Links(HTMLParser):
    """Collects what a page loads, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids.update(given[name] for name in ("id", "name") if name in given)
        if tag in ("script", "img", "iframe", "source") and "src" in given:
            self.loaded.append(given["src"])
        if tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.append(given.get("href", ""))
        if tag == "a" and "href" in given:
            self.linked.append(given["href"])


def read(page: Path) -> _Links:
    links = _Links()
    links.feed(page.read_text(encoding="utf-8"))
    return links


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        outside = [source for source in read(page).loaded if re.match(r"(https?:)?//", source)]
        assert outside == [], page


def test_every_link_and_picture_of_a_page_is_in_the_site(site: Path) -> None:
    read_pages = {page: read(page) for page in site.rglob("*.html") if page.name != "404.html"}
    assert len(read_pages) > 30
    for page, links in read_pages.items():
        for link in (*links.linked, *links.loaded):
            if ":" in link or not link:
                continue
            target, _, anchor = unquote(link).partition("#")
            file = (page.parent / target).resolve() if target else page
            assert file.exists(), f"{page}: {link}"
            if anchor and file.suffix == ".html":
                assert anchor in read_pages[file].ids, f"{page}: {link}"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("reference/study_file.html", "checkpoint_every_s"),
        ("reference/command_line.html", "--runs-dir"),
        ("reference/python.html", "Give an exported network back"),
        ("repository/search_spaces/degradation.yaml.html", "degradation problem"),
    ],
)
def test_generated_parts_are_there(site: Path, page: str, text: str) -> None:
    assert text in (site / page).read_text(encoding="utf-8")


def test_a_word_can_be_searched_for(site: Path) -> None:
    assert "checkpoint" in (site / "search" / "search_index.json").read_text(encoding="utf-8")
