"""Every claim's folder is whole, and no figure of a page differs from what the tables say."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from archsearch.study import load_study
from archsearch.study.yaml_reading import read_yaml
from experiments import claims, pages
from experiments.claims import CLAIMS, Claim
from experiments.evidence import Evidence
from experiments.findings import Finding, Part
from tests.experiments.results import spread, write_results

HEADINGS = ["Question", "Hypothesis", "Protocol", "Decision rule", "Again", "Result", "Conclusion"]
FULL = [*(f"{number:02}" for number in range(4, 11))]
NOT_RUN = "Not run yet."
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def sections(claim: Claim) -> dict[str, str]:
    _, *found = re.split(r"^## ", (claim.folder / "README.md").read_text(), flags=re.MULTILINE)
    return {part.partition("\n")[0]: part.partition("\n")[2].strip() for part in found}


def by_name(claim: Claim) -> str:
    return claim.name


each_claim = pytest.mark.parametrize("claim", CLAIMS.values(), ids=by_name)


def test_there_are_ten_and_no_folder_beside_them() -> None:
    folders = {path.name for path in claims.HERE.glob("[0-9][0-9]_*")}

    assert folders == set(CLAIMS)
    assert len(folders) == 10


@each_claim
def test_a_page_has_all_its_parts(claim: Claim) -> None:
    found = sections(claim)

    assert list(found) == HEADINGS
    assert all(found.values())
    assert "Written before the run." in found["Decision rule"]
    assert f"python -m experiments.make {claim.name}" in found["Again"]
    for study in claim.folder.glob("*.yaml"):
        assert f"]({study.name})" in found["Again"], study.name


@each_claim
def test_a_claim_has_its_studies_and_the_full_one_from_the_fourth_on(claim: Claim) -> None:
    assert all(path.is_file() for path in claim.files().values())
    assert (claim.folder / "full.yaml").is_file() == claim.has_full == (claim.name[:2] in FULL)


@each_claim
def test_studies_load_and_train_under_three_seeds_or_more(claim: Claim) -> None:
    for path in {*claim.files().values(), *claim.files(full=True).values()}:
        text = path.read_text()
        assert text.startswith("# yaml-language-server: $schema=../../search_spaces/study.schema.json")
        if "plugins" in read_yaml(text, str(path)).value:
            continue
        study = load_study(path)
        assert study.cells()
        assert len(study.seeds) >= 3
        assert not study.tracking.enabled


@each_claim
def test_a_page_with_figures_of_cifar10_says_where_its_images_come_from(claim: Claim) -> None:
    if any("data/cifar10" in path.read_text() for path in claim.files().values()):
        assert "JPEG" in sections(claim)["Protocol"]


def count_macs(depth: int, width: int, side: int) -> int:
    """Of a plain or residual network, by hand: 3x3 convolutions cost the same, two that stride half."""
    convolution = 9 * width**2 * side**2
    return 27 * width * side**2 + (depth - 3) * convolution + 40 * width


def test_macs_are_counted_as_published() -> None:
    assert count_macs(20, 16, 32) == 40_551_040
    assert count_macs(110, 16, 32) == 252_887_680


@pytest.mark.parametrize(
    ("full", "images", "width", "side"), [(False, 20_000, 8, 16), (True, 45_000, 16, 32)]
)
def test_the_search_has_the_compute_of_the_sweep(full: bool, images: int, width: int, side: int) -> None:
    files = CLAIMS["10_search"].files(full=full)
    search, sweep, published = (load_study(files[name]) for name in ("study", "sweep", "published"))
    depths = next(dimension for dimension in sweep.sweep if dimension.path == "architecture.depth").choices
    of_each = 2 * len(sweep.seeds) * sweep.base["training.epochs"] * images

    assert search.budget.macs == of_each * sum(count_macs(depth, width, side) for depth in depths)
    most = count_macs(published.base["architecture.depth"], width, side)
    assert search.constraints["macs"].max == most
    # Its answer is judged under seeds new to the sweep; three of the published setting's are the sweep's.
    assert len(search.seeds) == len(published.seeds)
    assert not set(search.seeds) & set(sweep.seeds)
    assert len(set(published.seeds) & set(sweep.seeds)) == 3
    place = {"architecture.block": "residual", "architecture.depth": max(depths)}
    assert published.resolve({}) == sweep.resolve(place)


@each_claim
def test_what_a_page_says_of_results_is_what_the_tables_say(claim: Claim) -> None:
    assert pages.read_block(claim.folder / "README.md") == pages.render_results(claim)


def test_the_front_page_says_what_the_tables_say_and_leads_to_every_folder() -> None:
    block = pages.read_block(pages.FRONT_PAGE)

    assert block == pages.render_front_table()
    assert [f"](experiments/{name})" in block for name in CLAIMS] == [True] * len(CLAIMS)


@each_claim
def test_results_are_whole_and_a_conclusion_holds_no_figure_of_its_own(claim: Claim) -> None:
    block, conclusion = pages.render_results(claim), sections(claim)["Conclusion"]
    results = claim.results()
    assert (block == NOT_RUN) == (conclusion == NOT_RUN) == (not results.exists())
    if results.exists():
        for study, picture in claim.pictures:
            assert f"]({results.name}/{study}_{picture}.png)" in block
        assert set(NUMBER.findall(conclusion)) <= set(NUMBER.findall(block))


@each_claim
def test_the_answers_beside_the_results_are_those_of_the_page(claim: Claim, tmp_path: Path) -> None:
    finding = pages.find_finding(claim, claim.results())
    assert finding is not None

    pages.write_answers(finding, tmp_path)

    assert (claim.results() / "verdict.csv").read_text() == (tmp_path / "verdict.csv").read_text()


@each_claim
def test_results_are_those_of_the_studies_beside_them(claim: Claim) -> None:
    evidence, files = Evidence(claim.results()), claim.files()

    assert list(evidence.studies.index) == list(files)
    for name, path in files.items():
        if "plugins" in read_yaml(path.read_text(), str(path)).value:
            continue
        study, rows = load_study(path), evidence.trainings[evidence.trainings["study"] == name]
        assert evidence.studies.loc[name, "epochs"] == study.base["training.epochs"]
        assert set(rows["seed"]) == set(study.seeds)
        assert rows.groupby(["curve", "depth"]).ngroups == len(study.cells())


def test_learning_rates_are_those_that_the_study_tries() -> None:
    claim = CLAIMS["08_variants"]
    rates = Evidence(claim.results()).table("rates")
    (tried,) = load_study(claim.files()["highway"]).search

    assert tried.path == "training.learning_rate"
    assert set(rates["lowest"]) == {min(tried.choices)}
    assert set(rates["highest"]) == {max(tried.choices)}


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Claim:
    """A claim with made-up results, its page written."""
    claim = CLAIMS["04_depth"]
    shutil.copytree(claim.folder, tmp_path / claim.name, ignore=shutil.ignore_patterns("results*"))
    monkeypatch.setattr(claims, "HERE", tmp_path)
    cells = [("block=plain", 20), ("block=plain", 56), ("block=residual", 20), ("block=residual", 56)]
    write_results(claim.results(), {("study", *cell): spread(0.3 + 0.01 * i) for i, cell in enumerate(cells)})
    pages.replace_block(claim.folder / "README.md", pages.render_results(claim))
    return claim


def test_a_page_holds_what_was_written_and_nothing_else_changes(copied: Claim) -> None:
    page = copied.folder / "README.md"
    before = page.read_text()

    pages.replace_block(page, pages.render_results(copied))

    assert page.read_text() == before
    assert list(sections(copied)) == HEADINGS
    assert "+1.00 points" in pages.read_block(page)
    assert "33.00 %" in pages.read_block(page)


def find_row(name: str) -> str:
    (row,) = [line for line in pages.render_front_table().split("\n") if f"](experiments/{name})" in line]
    return row


def test_the_front_page_gives_each_answer_and_the_epochs_it_was_trained_for(copied: Claim) -> None:
    row = find_row(copied.name)

    assert "| *after 3 epochs*<br>residual: validation error falls from depth 20 to 56" in row
    assert ": +1.00 points (+0.77 to +1.23), refuted<br>plain: training error rises by more" in row
    assert row.endswith("| **refuted in part**: of 3 questions 2 refuted and 1 undecided |")


def test_the_front_page_shows_what_was_refuted_whatever_else_it_leaves_out(
    copied: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [Part(what, "points", 0.0, 0.0, 0.0, what) for what in ("confirmed", "refuted")]
    monkeypatch.setitem(CLAIMS, copied.name, replace(copied, rule=lambda _: Finding(tuple(found))))

    row = find_row(copied.name)

    assert "| *after 3 epochs*<br>refuted: +0.00 points, refuted |" in row
    assert row.endswith("| **in part**: of 2 questions 1 confirmed and 1 refuted |")


def test_results_in_full_stand_below_the_others(copied: Claim) -> None:
    results = copied.results(full=True)
    shutil.copytree(copied.results(), results)
    studies = pd.read_csv(results / "studies.csv")
    studies.assign(files="PNG").to_csv(results / "studies.csv", index=False)

    short, whole = pages.render_results(copied).split("### At full size")

    assert "CIFAR-10 (JPEG copies)" in short
    assert "CIFAR-10 (raw pixels)" in whole
    assert "+1.00 points" in whole


def test_parts_after_other_epochs_stand_apart_and_counts_have_none(copied: Claim) -> None:
    results = CLAIMS["01_more_layers"].results()
    cells = {
        (study, "block=plain", depth): spread(0.3 + depth / 100)
        for study in ("study", "long")
        for depth in (8, 56)
    }
    write_results(results, cells)
    studies = pd.read_csv(results / "studies.csv")
    studies.loc[studies["study"] == "long", "epochs"] = 60
    studies.to_csv(results / "studies.csv", index=False)

    row = find_row("01_more_layers")

    parts = [r"\| \*after 3 epochs\*", "[^<]*, confirmed", r"\*after 60 epochs\*", r"[^<]*, confirmed \|"]
    assert re.search("<br>".join(parts), row)
    page = pages.render_results(CLAIMS["01_more_layers"])
    assert "| question | epochs | measured, interval (95 %, of families together) | answer |" in page
    assert re.search(r"\| 60 \| \+48.00 points \([^|]*\) \| confirmed \|", page)


def test_a_changed_figure_on_the_page_is_noticed(copied: Claim) -> None:
    page = copied.folder / "README.md"
    page.write_text(page.read_text().replace("33.00 %", "32.00 %"))

    assert pages.read_block(page) != pages.render_results(copied)


def test_a_changed_figure_in_a_table_is_noticed(copied: Claim) -> None:
    table = copied.results() / "trainings.csv"
    table.write_text(table.read_text().replace("0.331", "0.321"))

    assert pages.read_block(copied.folder / "README.md") != pages.render_results(copied)


def test_a_page_without_marks_is_refused(copied: Claim) -> None:
    page = copied.folder / "README.md"
    page.write_text(page.read_text().replace(pages.END, ""))

    with pytest.raises(ValueError, match="must hold the lines"):
        pages.read_block(page)
