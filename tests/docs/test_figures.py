"""Figures on pages are those of the committed results."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from archsearch.study.vocabulary import PREDICTORS
from benchmarks.scale import find_saturated
from tests.docs.pages import ROOT


def test_the_table_of_searches_is_that_of_the_last_run() -> None:
    page = (ROOT / "docs" / "schedulers.md").read_text()
    protocol, rows = _protocol("search_quality"), _results("search_quality")
    (baseline,) = (row for row in rows if row["method"] == "random")

    for row in rows:
        name = re.escape(_code(row["method"]))
        (line,) = re.findall(rf"^\| {name} \| (.* of \d+ \| .*) \|$", page, re.MULTILINE)
        median, interval, reached, share, spent, regret = line.split(" | ")
        low, high = row["interval"]
        assert median == _said(row["epochs_until_within"])
        assert interval == (
            f"{_said(low)} to {_said(high)}" if high else f"{_said(low)} or more" if low else "–"
        )
        assert reached == f"{row['reached']} of {row['replays']}"
        _check_share(share, row["epochs_until_within"], baseline)
        assert spent == _said(row["spent_epochs"])
        assert regret == f"{row['regret_points']['1000'][1]:.2f}"
    assert f"A table of {protocol['points']} networks" in page
    assert f"({100 * protocol['best_error']:.2f} %)" in page
    assert f"at most {protocol['trials']} trials" in page


def _check_share(said: str, own: float | None, baseline: dict[str, Any]) -> None:
    """What is said to be saved is saved, and no tenth more could be said."""
    whole, least = baseline["epochs_until_within"], baseline["interval"][0]
    reference = whole or least
    if own is None or own >= reference:
        assert said == "–"
        return
    bound, factor = re.fullmatch(r"(< )?1/(\d+\.\d)", said).groups()
    assert bool(bound) == (whole is None)
    assert own * float(factor) <= reference < own * (float(factor) + 0.1)


def test_what_the_front_page_says_of_searches_is_that_of_the_last_run() -> None:
    page = " ".join((ROOT / "README.md").read_text().split())
    points = _protocol("search_quality")["points"]
    rows = {row["method"]: row for row in _results("search_quality")}
    best, random = rows["tpe+asha"], rows["random"]

    assert (
        f"`scheduler: asha` with `sampler: tpe` comes within 0.2 points of the best of {points} networks "
        f"after {best['epochs_until_within']:,} epochs in the median of {best['replays']} searches; "
        f"of {random['replays']} random searches, which spent {random['spent_epochs']:,.0f} in the median, "
        f"{random['reached']} came there"
    ) in page


def test_how_often_a_verdict_is_wrong_or_found_is_that_of_the_last_run() -> None:
    page = (ROOT / "docs" / "statistics.md").read_text()
    wrong = [row for row in _power_table("false_claims") if row["spread"] == "0.01"]
    worst = max((row for row in wrong if row["seeds"] != "2"), key=lambda row: float(row["share"]))
    assert f"was {_percent(worst['share'], 1)} % (upper 95 % bound {_percent(worst['upper'], 1)} %)" in page
    hardest = [row for row in _power_table("false_claims") if row["noise"] == "skewed shallow"]
    shares = [float(row["share"]) for row in hardest if row["claim"] == "degradation"]
    most = max(hardest, key=lambda row: float(row["upper"]))
    span = f"{_percent(min(shares), 0)} to\n  {_percent(max(shares), 0)} %"
    assert f"claimed in {span} (upper bound {_percent(most['upper'], 1)} %)" in page

    found = {(row["truth"], row["effect"], row["seeds"]): row["found"] for row in _power_table("power")}
    (table,) = re.findall(r"^\| change over the depths .*\n\|[-|]+\n((?:\|.*\n)+)", page, re.MULTILINE)
    truth = ""
    for line in table.splitlines():
        what, *cells = line.strip("| ").split(" | ")
        name, points = re.fullmatch(r"(?:(.*?),? )?by (\d+) points", what).groups()
        truth = name or truth
        expected = [found[truth, f"{int(points) / 100:g}", seeds] for seeds in ("2", "3", "5", "10")]
        assert cells == [f"{_percent(share, 0)} %" for share in expected]
    assert len(table.splitlines()) == 9


def test_what_deterministic_training_costs_is_that_of_the_last_run() -> None:
    page = " ".join((ROOT / "docs" / "reproducibility.md").read_text().split())
    added = [row["added_frac"] for row in _results("deterministic")]
    medians = [100 * one["median"] for one in added]
    least, most = min(100 * one["min"] for one in added), max(100 * one["max"] for one in added)

    assert len(added) == 3
    assert f"between {-min(medians):.0f} % less time and {max(medians):.0f} % more" in page
    assert f"single rounds between {-least:.0f} % less and {most:.0f} % more" in page


def test_what_saturates_first_is_that_of_the_last_run() -> None:
    page = " ".join((ROOT / "docs" / "cluster.md").read_text().split())
    rows, alone = _results("scale-postgresql"), _results("scale")

    def span(values: Iterable[float], unit: str = "", digits: int = 0) -> str:
        found = list(values)
        return f"{min(found):,.{digits}f} to {max(found):,.{digits}f}{unit}"

    assert {find_saturated(row).partition(",")[0] for row in rows} == {"mlflow"}
    assert {find_saturated(row).partition(",")[0] for row in alone[1:]} == {"conductor"}
    for said in (
        f"made in {span((row['trials'] / row['trials_per_s'] for row in rows), ' s')} by",
        f"it lacked {span(row['mlflow_trials_behind'] for row in rows)} when",
        f"took {span((row['optuna_lag_s'] for row in rows), ' s')} from the last",
        f"held all of them {span((row['mlflow_lag_s'] for row in rows), ' s')} later still",
        f"handled {span(row['reports_per_s'] for row in rows)} epoch reports a second",
        f"disk for {span((100 * row['shares']['journal_fsync'] for row in rows), ' %')} of its time",
        f"it handled {span(row['reports_per_s'] for row in alone)}, and",
        f"the largest share, {span((100 * row['shares']['conductor'] for row in alone[1:]), ' %')}",
    ):
        assert said in page


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
    rows: list[dict[str, Any]] = _document(name)["results"]
    return rows


def _protocol(name: str) -> dict[str, Any]:
    protocol: dict[str, Any] = _document(name)["protocol"]
    return protocol


def _document(name: str) -> Any:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())


def _power_table(name: str) -> list[dict[str, str]]:
    text = (ROOT / "experiments" / "verdict_power" / "results" / f"{name}.csv").read_text()
    return list(csv.DictReader(io.StringIO(text)))


def _percent(share: str, digits: int) -> Decimal:
    # As a person rounds: halves upwards, which no binary fraction knows.
    return (100 * Decimal(share)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def _code(method: str) -> str:
    return " + ".join(f"`{part}`" for part in method.split("+"))


def _interval(correlation: dict[str, float]) -> str:
    rho, low, high = (f"{correlation[key]:+.2f}".replace("-", "−") for key in ("rho", "rho_low", "rho_high"))
    return f"{rho} ({low} to {high})"


def _said(epochs: float | None) -> str:
    return "–" if epochs is None else f"{epochs:,.0f}"


def test_what_searches_of_the_small_table_come_to_is_that_of_the_last_run() -> None:
    page = " ".join((ROOT / "benchmarks" / "README.md").read_text().split())
    rows = {row["method"]: row for row in _results("search_quality-cifar10")}
    alone = [row for name, row in rows.items() if "+" not in name]

    assert {(row["reached"], row["epochs_until_within"]) for row in alone} == {(20, 35)}
    assert "Without one all 20 searches came within 0.2 points of the best network, after 35 epochs" in page
    reached = [rows[f"{sampler}+asha"]["reached"] for sampler in ("random", "tpe")]
    assert (
        f"with asha {reached[0]} of them did on random proposals, and {reached[1]} on those of `tpe`" in page
    )


def test_what_the_defaults_gain_is_that_of_the_last_run() -> None:
    page = " ".join((ROOT / "benchmarks" / "README.md").read_text().split())
    (factors,) = (row["factors"] for row in _results("overhead-bf16") if "factors" in row)
    gain, precision = factors["all"], factors["precision"]

    assert (
        f"{gain['median']:.2f} times as fast as the stack written by hand ({gain['min']:.2f} to "
        f"{gain['max']:.2f} over five rounds), of which bf16 has no part that could be told "
        f"from none (factor {precision['median']:.2f}, {precision['min']:.2f} to {precision['max']:.2f})"
    ) in page
    assert gain["n"] == _protocol("overhead-bf16")["rounds"] == 5
