"""Figures on pages are those of the committed results."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from archsearch.study.vocabulary import PREDICTORS
from benchmarks.search_quality import print_table
from tests.docs.pages import ROOT


def test_the_table_of_searches_is_that_of_the_last_run(capsys: pytest.CaptureFixture[str]) -> None:
    results = json.loads((ROOT / "benchmarks" / "results" / "search_quality.json").read_text())
    page = (ROOT / "docs" / "schedulers.md").read_text()
    print_table(results["results"], 0.002)
    printed = {line.split()[0]: line.split("  ") for line in capsys.readouterr().out.splitlines()}

    for row in results["results"]:
        name = re.escape(_code(row["method"]))
        (line,) = re.findall(rf"^\| {name} \| (.* of \d+ \| .*) \|$", page, re.MULTILINE)
        median, interval, reached, share = line.split(" | ")
        low, high = row["interval"]
        assert median == _said(row["epochs_until_within"])
        assert interval == (
            f"{_said(low)} to {_said(high)}" if high else f"{_said(low)} or more" if low else "–"
        )
        assert reached == f"{row['reached']} of {row['replays']}"
        # The column before the regrets.
        assert share.replace("–", "-").replace(" ", "") == printed[row["method"]][-2].strip()
    points, best = results["protocol"]["points"], results["protocol"]["best_error"]
    assert f"A table of {points} networks" in page
    assert f"({100 * best:.2f} %)" in page


def test_the_table_of_real_searches_is_that_of_the_last_run() -> None:
    page = (ROOT / "docs" / "schedulers.md").read_text()

    for row in _results("real_search"):
        each = ", ".join(f"{regret:.2f}" for regret in row["regrets_points"])
        trials = f"{row['trials']['median']:.0f}, {row['complete']['median']:.0f}"
        assert (
            f"| {_code(row['method'])} | {trials} | {row['regret_points']['median']:.2f} ({each}) "
            f"| {row['seconds']['median']:.0f} s |"
        ) in page


def test_the_table_of_predictors_is_that_of_the_last_run() -> None:
    page = (ROOT / "docs" / "predictors.md").read_text()
    columns = ["all", *(f"block={block}" for block in ("plain", "residual", "grouped", "highway", "dense"))]
    found = {(row["predictor"], row["networks"]): row for row in _results("predictors")}

    for predictor in PREDICTORS:
        rows = [found[predictor, column] for column in columns]
        cells = [_code(predictor), *(_interval(row["correlation"]) for row in rows)]
        cells += [f"{100 * rows[0]['best_kept']:.0f} %", f"{rows[0]['network_ms']:.1f} ms"]
        assert f"| {' | '.join(cells)} |" in page


def _results(name: str) -> list[dict[str, Any]]:
    text = (ROOT / "benchmarks" / "results" / f"{name}.json").read_text()
    rows: list[dict[str, Any]] = json.loads(text)["results"]
    return rows


def _code(method: str) -> str:
    return " + ".join(f"`{part}`" for part in method.split("+"))


def _interval(correlation: dict[str, float]) -> str:
    rho, low, high = (f"{correlation[key]:+.2f}".replace("-", "−") for key in ("rho", "rho_low", "rho_high"))
    return f"{rho} ({low} to {high})"


def _said(epochs: float | None) -> str:
    return "–" if epochs is None else f"{epochs:,.0f}"
