"""Hooks of MkDocs: they write the generated parts of the pages, and bring files from outside docs/ in."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs_build.reference import fill_in
from docs_build.repository_files import DOCS, PLACE, find_linked_files, rewrite_links


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files outside docs/ that are linked."""
    root = _root(config)
    for linked in find_linked_files(root):
        if linked.content is None:
            files.append(File.generated(config, linked.place, abs_src_path=str(root / linked.path)))
        else:
            files.append(File.generated(config, linked.place, content=linked.content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Write the generated parts, and rewrite links for the site."""
    place = page.file.src_uri
    source = place.removeprefix(PLACE) if place.startswith(PLACE) else DOCS + place
    return rewrite_links(_root(config), source, fill_in(markdown))


def _root(config: MkDocsConfig) -> Path:
    return Path(config.config_file_path).parent
