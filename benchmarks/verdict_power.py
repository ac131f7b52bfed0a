"""How often a verdict is right, and how often wrong, on curves of known truth.

``python -m benchmarks.verdict_power`` writes its tables and the picture to experiments/verdict_power/results.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from scipy.stats import binomtest

from benchmarks.synthetic_curves import (
    NOISES,
    Measurement,
    Noise,
    Truth,
    claims,
    false_claims,
    generate,
    truths,
)

SEEDS = (2, 3, 5, 10)
EFFECTS = (0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1)
SPREAD = 0.01
HARDEST: tuple[Noise, ...] = ("skewed", "skewed shallow")
FOUND = ("degradation", "degradation behind an improvement", "healthy", "overfitting")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000, help="generated for each row")
    parser.add_argument("--output", type=Path, default=Path("experiments/verdict_power/results"))
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    found, wrong = measure_power(given.studies), measure_errors(given.studies)
    write_table(found, given.output / "power.csv")
    write_table(wrong, given.output / "false_claims.csv")
    draw_power(found, given.output / "power.png")
    print(f"{given.studies} studies a row; four depths, spread over seeds {SPREAD:.0%} of the images")
    print(f"{'what is so':36}{'change':>8}" + "".join(f"{f'{seeds} seeds':>10}" for seeds in SEEDS))
    for name in FOUND:
        for effect in EFFECTS:
            rows = [row for row in found if row["truth"] == name and row["effect"] == effect]
            print(f"{name:36}{effect:8.1%}" + "".join(f"{row['found']:10.1%}" for row in rows))
    print("\nfalse claims, the most frequent of all truths and noises:")
    for seeds in SEEDS:
        for spread in sorted({row["spread"] for row in wrong}):
            rows = [row for row in wrong if (row["seeds"], row["spread"]) == (seeds, spread)]
            worst = max(rows, key=lambda row: row["share"])
            rate = f"{worst['share']:.1%}, at most {worst['upper']:.1%}"
            where = f"{worst['claim']} where it is {worst['truth']}, {worst['noise']} noise"
            print(f"{seeds} seeds, spread {spread:.0%}: {rate} ({where})")


def measure_power(studies: int) -> list[dict[str, Any]]:
    """How often the right verdict is found, by what is so, how large it is, and the number of seeds."""
    rows = []
    for name in FOUND:
        for effect in EFFECTS:
            for seeds in SEEDS:
                truth, measurement = truths(effect)[name], Measurement(seeds=seeds, spread=SPREAD)
                verdicts = claims(generate(truth, measurement, studies, seed=0))
                share = verdicts[truth.kind] / studies
                rows.append({"truth": name, "effect": effect, "seeds": seeds, "found": share})
    return rows


def measure_errors(studies: int) -> list[dict[str, Any]]:
    """How often each false claim is made, with the upper 95 % bound of its rate."""
    rows = []
    for name, truth in truths(0.06).items():
        for noise in (*NOISES, "shrinking"):
            for seeds in SEEDS:
                measurement = Measurement(seeds=seeds, spread=SPREAD, noise=noise)
                rows += _errors(name, truth, measurement, studies)
    # the worst that was found: shallow networks that differ widely, mostly below their mean, at equal means
    for seeds in SEEDS:
        for noise in HARDEST:
            measurement = Measurement(seeds=seeds, spread=0.05, noise=noise)
            rows += _errors("flat", truths(0.06)["flat"], measurement, studies)
    return rows


def _errors(name: str, truth: Truth, measurement: Measurement, studies: int) -> list[dict[str, Any]]:
    made = false_claims(truth, claims(generate(truth, measurement, studies, seed=1)))
    return [
        {
            "truth": name,
            "noise": measurement.noise,
            "spread": measurement.spread,
            "seeds": measurement.seeds,
            "claim": claim,
            "share": count / studies,
            "upper": upper_bound(count, studies),
        }
        for claim, count in sorted(made.items()) or [("none", 0)]
    ]


def upper_bound(count: int, studies: int) -> float:
    """One-sided upper 95 % bound of a rate (Clopper and Pearson)."""
    return float(binomtest(count, studies, alternative="less").proportion_ci(0.95, method="exact").high)


def write_table(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write rows as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def draw_power(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw power against the size of the change, one line a number of seeds."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    styles = zip(SEEDS, ("o:", "s-.", "^--", "D-"), strict=True)
    marks = dict(styles)
    for axes, name in zip(panels.flat, FOUND, strict=True):
        for seeds in SEEDS:
            own = [row for row in rows if row["truth"] == name and row["seeds"] == seeds]
            axes.plot(
                [row["effect"] for row in own],
                [row["found"] for row in own],
                marks[seeds],
                label=f"{seeds} seeds",
            )
        axes.set_title(name, fontsize=10)
        axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
        axes.grid(visible=True, alpha=0.25)
    for axes in panels[1]:
        axes.set_xlabel("change of the error over the depths")
    for axes in panels[:, 0]:
        axes.set_ylabel("verdict found")
    panels[0, 0].legend(frameon=False, fontsize=9)
    figure.suptitle(f"Spread over seeds: {SPREAD:.0%} of the images", fontsize=11)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
