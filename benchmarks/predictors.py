"""How well predictors that need no training rank networks that were really trained.

    OMP_NUM_THREADS=1 python -m benchmarks.predictors --output benchmarks/results/predictors.json

Protocol. Of the recorded table (372 networks, see `benchmarks.record_table`) each network is scored by every
predictor of `archsearch.training.predictors`; what it came to is its mean validation accuracy over the
three seeds after the last epoch. Given are, over all networks and within each family, how many are ranked,
Spearman's rho and Kendall's tau-b with 95 % intervals (bootstrap over networks), and of the tenth of them
with the highest accuracy the share that a prefilter with `keep: 0.5` would have trained: by chance 0.5.
Milliseconds are the median of a network, on one thread, its building included.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from archsearch.architecture import Architecture
from archsearch.data import load_dataset
from archsearch.statistics.ranks import correlate_ranks
from archsearch.study.vocabulary import PREDICTORS
from archsearch.training.predictors import score_network
from benchmarks.machine import write_result
from benchmarks.recorded_table import RecordedTable, load_table

_KEPT, _BEST = 0.5, 0.1


@dataclass(frozen=True)
class Scored:
    """A network of the table: its mean accuracy, and what a predictor says of it."""

    architecture: Architecture
    accuracy: float
    score: float


def score_table(table: RecordedTable, predictor: str, most: int | None) -> tuple[list[Scored], float]:
    """Score the first networks of a table, those left out that cannot be ranked.

    Returns:
        They, and the median milliseconds of one.
    """
    _, settings = table.study.space.fixed_settings()
    dataset = load_dataset(settings)
    networks = {}
    for training in table.trainings:
        spec = table.study.resolve(training.values)
        networks[spec.architecture.id] = (
            spec.architecture,
            1 - table.true_errors[table.key(training.values)],
        )
    scored, times_ms = [], []
    for architecture, accuracy in list(networks.values())[:most]:
        start = time.perf_counter()
        score = score_network(architecture, dataset, predictor)
        times_ms.append((time.perf_counter() - start) * 1000)
        if score is not None and math.isfinite(accuracy):
            scored.append(Scored(architecture, accuracy, score))
    return scored, statistics.median(times_ms)


def judge(predictor: str, networks: str, scored: Sequence[Scored]) -> dict[str, Any]:
    """How well a predictor ranks some networks; figures are None where there are too few."""
    found = correlate_ranks([one.score for one in scored], [one.accuracy for one in scored])
    kept = sorted((one.score for one in scored), reverse=True)[: math.ceil(_KEPT * len(scored))]
    best = sorted(scored, key=lambda one: -one.accuracy)[: math.ceil(_BEST * len(scored))]
    return {
        "predictor": predictor,
        "networks": networks,
        "ranked": len(scored),
        "correlation": found and asdict(found),
        "best_kept": sum(one.score >= kept[-1] for one in best) / len(best) if best else None,
    }


def measure(table: RecordedTable, most: int | None = None) -> list[dict[str, Any]]:
    """Judge every predictor, over all networks and by family."""
    rows = []
    for predictor in PREDICTORS:
        scored, network_ms = score_table(table, predictor, most)
        rows.append({**judge(predictor, "all", scored), "network_ms": network_ms})
        for block in dict.fromkeys(one.architecture.block for one in scored):
            family = [one for one in scored if one.architecture.block == block]
            rows.append(judge(predictor, f"block={block}", family))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=int, help="score so many networks alone, the first of the table")
    parser.add_argument("--output", type=Path, help="write the result as JSON")
    given = parser.parse_args()
    table = load_table()
    rows = measure(table, given.networks)
    for row in rows:
        found = row["correlation"]
        figures = "too few"
        if found:
            figures = (
                f"rho {found['rho']:+.2f} ({found['rho_low']:+.2f} to {found['rho_high']:+.2f}), "
                f"tau {found['tau']:+.2f} ({found['tau_low']:+.2f} to {found['tau_high']:+.2f})"
            )
        print(f"{row['predictor']:10} {row['networks']:15} n={row['ranked']:<4} {figures}")
    protocol = {"table": "digits", "kept": _KEPT, "best": _BEST, "networks": given.networks or "all"}
    write_result("predictors", protocol, rows, given.output)


if __name__ == "__main__":
    main()
