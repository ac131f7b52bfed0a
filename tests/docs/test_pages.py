"""What the pages say can be done: studies load, commands are known, links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from archsearch.cli import cli
from archsearch.study import load_study, parse_study
from archsearch.study.vocabulary import STUDY_KEYS
from archsearch.study.yaml_reading import read_yaml
from docs_build.repository_files import resolve_target
from tests.docs.pages import PAGES, ROOT, CodeBlock, anchors, name_of, read_blocks, read_links, read_spans

STUDIES = [
    block
    for path in PAGES
    for block in read_blocks(path)
    # A study of a package that is not installed is run where its page is followed.
    if block.language == "yaml"
    and re.match(rf"({'|'.join(STUDY_KEYS)}):", block.text)
    and "plugins:" not in block.text
]
MAKE_TARGETS = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

# What a page may write in the place of a number.
PLACEHOLDERS = {"N": "1", "D": "20"}


def by_page(path: Path) -> str:
    return name_of(path)


@pytest.mark.parametrize("block", STUDIES, ids=lambda block: block.place)
def test_a_study_or_a_part_of_one_loads(block: CodeBlock) -> None:
    text = block.text
    if "name" not in read_yaml(text, block.place).value:
        text = f"name: part\n{text}"

    assert parse_study(text, block.place).cells()


def test_there_are_whole_studies_among_them() -> None:
    assert sum(block.text.startswith("name: ") for block in STUDIES) >= 4


@pytest.mark.parametrize("path", sorted((ROOT / "search_spaces" / "exercises").glob("*.yaml")), ids=by_page)
def test_the_study_of_an_exercise_loads(path: Path) -> None:
    study = load_study(path)

    assert path.read_text().splitlines()[0].startswith("# yaml-language-server: $schema=../study.schema.json")
    assert all(study.resolve(cell.values) for cell in study.cells())


@pytest.mark.parametrize("path", PAGES, ids=by_page)
def test_every_command_in_a_block_parses(path: Path) -> None:
    for block in read_blocks(path):
        for line in commands(block.text) if block.language == "bash" else ():
            parse(line, block.place)


@pytest.mark.parametrize("path", PAGES, ids=by_page)
def test_every_command_in_the_text_is_known_with_its_options(path: Path) -> None:
    for span in read_spans(path):
        if re.match(r"archsearch [a-z]", span):
            try:
                parse(span, name_of(path))
            except click.MissingParameter:
                # Here a command may be named without what it is given.
                continue


def test_a_command_that_is_unknown_would_be_noticed() -> None:
    for line in ("archsearch train s.yaml", "archsearch run s.yaml --fast", "archsearch export s --trial x"):
        with pytest.raises(click.UsageError):
            parse(line, "here")


def test_code_that_goes_on_in_the_next_line_is_read(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Run `archsearch describe\nresnet20` or `make`, but a lone ` is no code.\n\nSo ` is another.\n"
    )

    assert read_spans(page) == ["archsearch describe resnet20", "make"]


def commands(text: str) -> list[str]:
    lines = text.replace("\\\n", " ").splitlines()
    found = (re.search(r"(?:^|&& |\.venv/bin/|=\S+ )(archsearch [a-z].*)", line.strip()) for line in lines)
    return [match[1] for match in found if match]


def parse(line: str, place: str) -> None:
    """Parse a command as `archsearch` does; run nothing."""
    ended = re.split(r" (?:\\?\||>|&&|#)(?: |$)|['\"]$", line)[0]
    _, name, *arguments = [PLACEHOLDERS.get(word, word) for word in shlex.split(ended)]
    context = click.Context(cli, info_name="archsearch")
    command = cli.get_command(context, name)
    if command is None:
        raise click.UsageError(f"{place}: there is no command {name!r}")
    command.make_context(name, arguments, parent=context)


@pytest.mark.parametrize("path", PAGES, ids=by_page)
def test_every_make_target_exists(path: Path) -> None:
    texts = [*read_spans(path), *(line for block in read_blocks(path) for line in block.text.splitlines())]
    named = [match[1] for text in texts if (match := re.match(r"make ([a-z][\w-]*)", text))]

    assert [name for name in named if name not in MAKE_TARGETS] == []


@pytest.mark.parametrize("path", PAGES, ids=by_page)
def test_every_link_inside_the_repository_leads_to_a_file_and_a_heading(path: Path) -> None:
    for link in read_links(path):
        if ":" in link:
            continue
        target, _, anchor = link.partition("#")
        found = resolve_target(ROOT, name_of(path), target) if target else name_of(path)
        assert found is not None, f"{name_of(path)}: {link}"
        # The headings of a generated reference are made with the site, whose build looks at them.
        if anchor and "reference/" not in found:
            assert anchor in anchors(ROOT / found), f"{name_of(path)}: {link}"


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    listed = re.findall(r": (\S+\.md)$", navigation, re.MULTILINE)
    pages = [path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")]

    assert sorted(name for name in listed if not name.startswith("repository/")) == sorted(pages)


def test_citation_names_the_version_of_the_package() -> None:
    citation = read_yaml((ROOT / "CITATION.cff").read_text(), "CITATION.cff").value

    assert f'version = "{citation["version"]}"' in (ROOT / "pyproject.toml").read_text()
