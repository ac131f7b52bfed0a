"""Links of the pages hold in the site as they do on GitHub."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs_build.repository_files import find_linked_files, place_of, rewrite_links
from tests.docs.pages import ROOT


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for folder in ("docs/deep", "docs/notebooks", "study", "found"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "docs/a.md").write_text("[s](../study/s.yaml) [f](../found) `[no](../study/t.yaml)`\n")
    cells = [("markdown", "[s](../../study/s.yaml)"), ("code", "1 + 1\n2")]
    notebook = {"cells": [{"cell_type": kind, "source": text.splitlines(True)} for kind, text in cells]}
    (tmp_path / "docs/notebooks/n.ipynb").write_text(json.dumps(notebook))
    (tmp_path / "docs/deep/b.md").write_text("```\n[no](../../study/t.yaml)\n```\n")
    (tmp_path / "docs/c.md").write_text("[n](notebooks/n.ipynb)\n")
    (tmp_path / "study/s.yaml").write_text("name: s  # ```\n")
    (tmp_path / "study/t.yaml").write_text("name: t\n")
    (tmp_path / "found/README.md").write_text("![p](p.png) [back](../docs/a.md#top)\n")
    (tmp_path / "found/p.png").write_bytes(b"picture")
    return tmp_path


def test_what_pages_lead_to_is_found_each_once_and_no_code_is_taken_for_a_link(repository: Path) -> None:
    found = {linked.path: linked for linked in find_linked_files(repository)}

    assert sorted(found) == ["docs/notebooks/n.ipynb", "found/README.md", "found/p.png", "study/s.yaml"]
    assert found["found/p.png"].content is None
    # The fence is longer than what stands in the file.
    assert found["study/s.yaml"].content == "# study/s.yaml\n\n````yaml\nname: s  # ```\n````\n"
    assert found["study/s.yaml"].place == "repository/study/s.yaml.md"
    assert found["docs/notebooks/n.ipynb"].content == "[s](../../study/s.yaml)\n\n```python\n1 + 1\n2\n```"
    assert found["docs/notebooks/n.ipynb"].place == "repository/docs/notebooks/n.ipynb.md"


@pytest.mark.parametrize(
    ("source", "written", "rewritten"),
    [
        ("docs/a.md", "[s](../study/s.yaml)", "[s](repository/study/s.yaml.md)"),
        ("docs/deep/b.md", "[f](../../found)", "[f](../repository/found/README.md)"),
        ("docs/a.md", "[b](deep/b.md#x)", "[b](deep/b.md#x)"),
        ("docs/a.md", "[n](notebooks/n.ipynb)", "[n](repository/docs/notebooks/n.ipynb.md)"),
        ("docs/notebooks/n.ipynb.md", "[a](../a.md#top)", "[a](../../../a.md#top)"),
        ("docs/notebooks/n.ipynb.md", "[s](../../study/s.yaml)", "[s](../../study/s.yaml.md)"),
        ("found/README.md", "[a](../docs/a.md#top)", "[a](../../a.md#top)"),
        ("found/README.md", "![p](p.png)", "![p](p.png)"),
        ("docs/a.md", "[w](https://example.org/study)", "[w](https://example.org/study)"),
        ("docs/a.md", "`[s](../study/s.yaml)`", "`[s](../study/s.yaml)`"),
        # Left as it is, for the build to complain about.
        ("docs/a.md", "[gone](../study/gone.yaml)", "[gone](../study/gone.yaml)"),
    ],
)
def test_a_link_is_rewritten_for_the_site(
    repository: Path, source: str, written: str, rewritten: str
) -> None:
    assert rewrite_links(repository, source, written) == rewritten


def test_every_study_that_the_pages_link_to_is_in_the_site() -> None:
    places = {linked.place for linked in find_linked_files(ROOT)}

    assert place_of("search_spaces/degradation.yaml") in places
    assert place_of("experiments/findings/README.md") in places
    assert place_of("experiments/findings/results/degradation/depth_curve.png") in places
