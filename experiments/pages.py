"""What pages say of results: written from the tables beside them, between two marks, and nowhere else."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pandas as pd

from experiments.claims import CLAIMS, HERE, Claim
from experiments.evidence import Evidence
from experiments.findings import Finding, write_table

BEGIN = "<!-- written by python -m experiments.make from the tables in results -->"
END = "<!-- end of what is written -->"
FRONT_PAGE = HERE.parent / "README.md"

_NOT_RUN = "not run yet"
_ORIGINS = {"JPEG": "CIFAR-10 (JPEG copies)", "PNG": "CIFAR-10 (raw pixels)"}
_PLACES = {"results": "", "results_full": "At full size"}
# Besides the pictures of the reports.
_DRAWN = ("accuracy_parameters",)


def find_finding(claim: Claim, results: Path) -> Finding | None:
    """Apply a claim's rule to its results; None where it was not run."""
    return claim.rule(Evidence(results)) if (results / "trainings.csv").is_file() else None


def write_answers(finding: Finding, results: Path) -> None:
    """Write the answers as a table of their own, verdict.csv."""
    rows = [*(part.to_row() for part in finding.parts), {"what": "verdict", "answer": finding.verdict}]
    pd.DataFrame(rows).to_csv(results / "verdict.csv", index=False, float_format="%.6g", lineterminator="\n")


def render_results(claim: Claim) -> str:
    """What the page of a claim says of its results."""
    said = []
    for full in (False, True):
        results = claim.results(full=full)
        finding = find_finding(claim, results)
        if finding is not None:
            heading = _PLACES[results.name]
            said += [f"### {heading}"] if heading else []
            said += [_render(claim, finding, results)]
    return "\n\n".join(said) or f"{_NOT_RUN.capitalize()}."


def render_front_table() -> str:
    """The table of all claims."""
    rows = []
    for claim in CLAIMS.values():
        finding = find_finding(claim, claim.results())
        rows.append(
            {
                "claim": f"[{claim.says}](experiments/{claim.name})",
                "what was measured": _say_measured(finding, claim.results()) if finding else _NOT_RUN,
                "verdict": f"**{finding.verdict}**: {finding.tally}" if finding else "",
            }
        )
    return write_table(rows)


def write_pages() -> None:
    """Write what all pages say of results anew, and the answers beside the results."""
    for claim in CLAIMS.values():
        for full in (False, True):
            results = claim.results(full=full)
            finding = find_finding(claim, results)
            if finding is not None:
                write_answers(finding, results)
        replace_block(claim.folder / "README.md", render_results(claim))
    replace_block(FRONT_PAGE, render_front_table())


def read_block(page: Path) -> str:
    """What stands between the marks of a page."""
    return _split(page)[1]


def replace_block(page: Path, text: str) -> None:
    """Put a text between the marks of a page."""
    before, _, after = _split(page)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def _split(page: Path) -> tuple[str, str, str]:
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    block, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} must hold the lines {BEGIN} and {END}")
    return before, block.strip(), after


def _say_measured(finding: Finding, results: Path) -> str:
    """The parts for the front page with their answers, those after so many epochs together.

    What was refuted always stands there.
    """
    epochs = Evidence(results).studies["epochs"]
    said = []
    shown = [part for part in finding.parts if part.front or part.answer == "refuted"]
    for after, parts in groupby(shown, lambda part: epochs.get(part.study)):
        said += [f"*after {after} epochs*"] * (after is not None)
        said += [f"{part.what}: {part.measured}, {part.answered}" for part in parts]
    return "<br>".join(said)


def _render(claim: Claim, finding: Finding, results: Path) -> str:
    epochs = Evidence(results).studies["epochs"]
    answers = [
        {
            "question": part.what,
            "epochs": str(epochs.get(part.study, "")),
            "measured, interval (95 %, of families together)": part.measured,
            "answer": part.answered,
        }
        for part in finding.parts
    ]
    pieces = [finding.conclusion, write_table(answers)]
    pieces += [f"{heading}:\n\n{write_table(rows)}" for heading, rows in finding.tables.items() if rows]
    pictures = [*_DRAWN, *(f"{study}_{picture}" for study, picture in claim.pictures), "study_lesion"]
    pieces += [
        f"![{picture.replace('_', ' ')}]({results.name}/{picture}.png)"
        for picture in pictures
        if (results / f"{picture}.png").is_file()
    ]
    return "\n\n".join([*pieces, _render_origin(results)])


def _render_origin(results: Path) -> str:
    lines = []
    for study in Evidence(results).studies.itertuples():
        images = f"{study.train_images:,} training and {study.val_images:,} validation images"
        images += f" of {study.data if pd.isna(study.files) else _ORIGINS[study.files]}"
        ran = f"{study.trainings} trainings, {study.macs:.3g} multiply-accumulates of forward passes"
        lines.append(
            f"`{study.name}`: {images}, {study.epochs} epochs; {ran}; {study.device}, torch {study.torch}."
        )
    return "\n".join(f"- {line}" for line in lines)
