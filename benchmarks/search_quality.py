r"""How many epochs a search spends until it has found one of the best networks, by how it searches.

    python -m benchmarks.search_quality --output benchmarks/results/search_quality.json \
        --picture docs/images/search_quality.png
    python -m benchmarks.search_quality --methods random gp --replays 10 --budget-epochs 1000

Protocol. A table of networks that were really trained, every combination of its values under three seeds
(see `benchmarks.record_table`), is searched by archsearch's own conductor, samplers, pruners and
schedulers; trainings are looked up under a simulated clock, with several simulated workers. Each method is
replayed under so many study seeds, the same for all methods; a training is one of the three recorded ones,
which one depends on the study seed and the network. What is spent is epochs: a pruned or paused trial costs
those that it trained, a proposal that repeats another none. A replay ends when the budget of epochs is spent
or `--trials` were made, repeated ones included. Pruning and pausing methods come to the latter, with most of
the table tried, long before they have spent the budget: what each spent in all is given beside what came of
it, and the regret after so many epochs is what compares them at equal spending.

After each trial the answer is the complete trial with the least validation error as the search saw it (one
training); what it is worth is its mean validation error over the three seeds after the last epoch, less that
of the table's best (*regret*). Given are, over the replays, the epochs until the regret was first at most
`--within` points (median; its 95 % interval from order statistics; how many replays came to it; this median
as a share 1/x of random search's, x rounded down), the epochs spent in all (median), and the regret after
some numbers of epochs (median, quartiles). Random search without a pruner is the baseline. Where less than
half of its replays come there, the lower end of its interval stands for its median, and `<` before the share.

The k-epoch baseline trains every network for one epoch or three, and the best 20 or 10 in full; in all it
then spends about as much as asha. What is there for completeness (`_BESIDE`) is replayed 20 times at most;
`gp`, whose own time grows with the cube of its trials, makes no more than 60 of them.
It takes about an hour on two idle cores. A table of these is printed, and drawn where `--picture` says.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import cycle
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator
from scipy.stats import binom

from benchmarks.machine import write_result
from benchmarks.recorded_table import TABLES, RecordedTable, load_table
from benchmarks.replaying import Method, Trace, replay

_ONE_EPOCH_THEN_BEST = {"scheduler": "{name: epochs_then_best, epochs: 1, finalists: 20}"}
_THREE_EPOCHS_THEN_BEST = {"scheduler": "{name: epochs_then_best, epochs: 3, finalists: 10}"}
# A new sampler, pruner or scheduler is one more row.
METHODS = {
    method.name: method
    for method in (
        Method("random", {"sampler": "random"}),
        Method("grid", {"sampler": "grid"}),
        Method("qmc", {"sampler": "qmc"}),
        Method("nsga2", {"sampler": "{name: nsga2, population_size: 20}"}),
        Method("tpe", {"sampler": "tpe"}),
        Method("gp", {"sampler": "gp", "trials": "60"}),
        Method("evolution", {"sampler": "evolution"}),
        Method("local_search", {"sampler": "local_search"}),
        Method("random+median", {"sampler": "random", "pruner": "median"}),
        Method("random+successive_halving", {"sampler": "random", "pruner": "successive_halving"}),
        Method("random+hyperband", {"sampler": "random", "pruner": "hyperband"}),
        Method("tpe+median", {"sampler": "tpe", "pruner": "median"}),
        Method("tpe+percentile", {"sampler": "tpe", "pruner": "percentile"}),
        Method("tpe+successive_halving", {"sampler": "tpe", "pruner": "successive_halving"}),
        Method("tpe+hyperband", {"sampler": "tpe", "pruner": "hyperband"}),
        Method("random+1_epoch_then_best", {"sampler": "random", **_ONE_EPOCH_THEN_BEST}),
        Method("random+3_epochs_then_best", {"sampler": "random", **_THREE_EPOCHS_THEN_BEST}),
        Method("tpe+1_epoch_then_best", {"sampler": "tpe", **_ONE_EPOCH_THEN_BEST}),
        Method("tpe+3_epochs_then_best", {"sampler": "tpe", **_THREE_EPOCHS_THEN_BEST}),
        Method("random+asha", {"sampler": "random", "scheduler": "asha"}),
        Method("random+pasha", {"sampler": "random", "scheduler": "pasha"}),
        Method("tpe+asha", {"sampler": "tpe", "scheduler": "asha"}),
        Method("tpe+pasha", {"sampler": "tpe", "scheduler": "pasha"}),
        Method("evolution+asha", {"sampler": "evolution", "scheduler": "asha"}),
        Method("local_search+asha", {"sampler": "local_search", "scheduler": "asha"}),
    )
}
BASELINE = "random"
# What is compared where nothing else is named: these under all seeds,
_COMPARED = (
    *("random", "tpe", "evolution", "local_search", "tpe+median", "tpe+hyperband"),
    *("random+1_epoch_then_best", "random+3_epochs_then_best", "random+asha", "tpe+asha", "tpe+pasha"),
    *("evolution+asha", "local_search+asha"),
)
# and these, beside them, under the first of them.
_BESIDE = (
    *("grid", "qmc", "nsga2", "gp", "tpe+percentile", "tpe+successive_halving"),
    *("tpe+1_epoch_then_best", "tpe+3_epochs_then_best"),
)
_BESIDE_REPLAYS = 20
_PANELS = ("the sampler alone", "with a pruner", "with a scheduler")
_PLOTTED_POINTS = 200


def run_replays(
    table: tuple[str, Path], methods: Sequence[Method], replays: int, processes: int, **options: Any
) -> dict[str, list[Trace]]:
    """Replay every method under the seeds from 0; `options` are those of `replay`."""
    tasks = [(method, seed) for method in methods for seed in range(_count_replays(method, replays))]
    work = partial(_replay, table, options)
    if processes == 1:
        traces = list(map(work, tasks))
    else:
        # Spawned: torch's threads do not survive a fork.
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            traces = list(pool.map(work, tasks, chunksize=1))
    by_method: dict[str, list[Trace]] = {method.name: [] for method in methods}
    for (method, _), trace in zip(tasks, traces, strict=True):
        by_method[method.name].append(trace)
    return by_method


def _count_replays(method: Method, replays: int) -> int:
    return min(replays, _BESIDE_REPLAYS) if method.name in _BESIDE else replays


_tables: dict[tuple[str, Path], RecordedTable] = {}


def _replay(table: tuple[str, Path], options: dict[str, Any], task: tuple[Method, int]) -> Trace:
    if table not in _tables:
        _tables[table] = load_table(*table)
    method, seed = task
    return replay(_tables[table], method, seed=seed, **options)


def summarize_method(
    name: str, traces: Sequence[Trace], best: float, *, within: float, checkpoints: Sequence[int]
) -> dict[str, Any]:
    """Sum up the replays of a method.

    Args:
        name: Of the method.
        traces: Its replays.
        best: The least true error of the table.
        within: Regret to be reached, as a fraction.
        checkpoints: Epochs after which the regret is given.
    """
    # Rounded up by less than an image: means of the same errors may differ in their last bit.
    needed = sorted(trace.epochs_until(best + within + 1e-9) for trace in traces)
    low, high = median_interval(needed)
    regrets = {n: [100 * (trace.error_after(n) - best) for trace in traces] for n in checkpoints}
    return {
        "method": name,
        "epochs_until_within": _finite(statistics.median_low(needed)),
        "interval": [_finite(low), _finite(high)],
        "reached": sum(math.isfinite(epochs) for epochs in needed),
        "replays": len(traces),
        "spent_epochs": statistics.median(trace.spent_epochs for trace in traces),
        "trials": {name: _mean_count(traces, name) for name in ("complete", "pruned", "repeated", "failed")},
        "regret_points": {n: [_finite(q) for q in _quartiles(found)] for n, found in regrets.items()},
    }


def median_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Interval of the median from order statistics, which may be infinite; values in ascending order.

    It holds whatever the distribution (binomial, each value being above the median as likely as below).
    """
    below = int(binom.ppf((1 - level) / 2, len(values), 0.5))
    # The k-th smallest and k-th largest, k - 1 being the largest count of at most half of 1 - level.
    k = max(0, below - (binom.cdf(below, len(values), 0.5) > (1 - level) / 2))
    return values[k], values[len(values) - 1 - k]


def _mean_count(traces: Sequence[Trace], outcome: str) -> float:
    return statistics.fmean(trace.trials.get(outcome, 0) for trace in traces)


def _quartiles(values: Sequence[float]) -> list[float]:
    # Of order statistics alone: between infinity and a number there is nothing.
    found: list[float] = np.quantile(values, [0.25, 0.5, 0.75], method="inverted_cdf").tolist()
    return found


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def print_table(rows: Sequence[dict[str, Any]], within: float) -> None:
    """Print a line a method, the baseline's epochs over its own as a share."""
    baseline = next((row for row in rows if row["method"] == BASELINE), None)
    title = f"epochs to {100 * within:g} points"
    head = f"{'method':26} {title:>20} {'95 % interval':>16} {'reached':>9} {'of random':>10} {'spent':>7}"
    print(f"{head}  regret after")
    for row in rows:
        own, (low, high) = row["epochs_until_within"], row["interval"]
        gain = _say_share(own, baseline) if baseline and own else "-"
        regrets = ", ".join(f"{n}: {_said(q[1], 2)}" for n, q in row["regret_points"].items())
        reached = f"{row['reached']}/{row['replays']}"
        interval = f"{_said(low)} to {_said(high)}"
        print(
            f"{row['method']:26} {_said(own):>20} {interval:>16} {reached:>9} {gain:>10} "
            f"{_said(row['spent_epochs']):>7}  {regrets}"
        )


def _say_share(own: float, baseline: dict[str, Any]) -> str:
    if baseline["epochs_until_within"] is not None:
        return f"1/{_floor(baseline['epochs_until_within'] / own)}"
    # A bound above its own epochs says nothing.
    least = baseline["interval"][0]
    return f"<1/{_floor(least / own)}" if least is not None and least > own else "-"


def _floor(factor: float) -> float:
    # Never more than there is: of a bound, the rounded one would be false.
    return math.floor(10 * factor) / 10


def _said(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def plot(traces: dict[str, list[Trace]], best: float, budget: int, path: Path, *, within: float) -> None:
    """Draw median regret against epochs spent, a panel each without, with a pruner and with a scheduler."""
    figure = Figure(figsize=(14, 4.6), layout="constrained")
    panels = figure.subplots(1, len(_PANELS), sharey=True)
    grid = np.geomspace(min(20, budget / 2), budget, _PLOTTED_POINTS)
    for axes, panel in zip(panels, _PANELS, strict=True):
        shown = [name for name in traces if name == BASELINE or _panel_of(name) == panel]
        for name, style in zip(shown, cycle(("--", "-", "-.", ":")), strict=False):
            regrets = [[100 * (t.error_after(n) - best) for n in grid] for t in traces[name]]
            _draw(axes, grid, name, style, regrets)
        axes.set_xscale("log")
        axes.set_xlabel("epochs spent")
        axes.set_title(panel, fontsize=10)
        axes.grid(visible=True, alpha=0.25)
        axes.legend(frameon=False, fontsize=8)
    panels[0].set_ylabel("regret (points of validation error), median")
    # The last tenths of a point are what is asked about, and the first epochs are many points away.
    panels[0].set_yscale("symlog", linthresh=within)
    panels[0].set_ylim(bottom=0)
    panels[0].yaxis.set_major_locator(FixedLocator([0, within, 1, 10]))
    panels[0].yaxis.set_major_formatter("{x:g}")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _panel_of(name: str) -> str:
    lines = METHODS[name].lines
    return next((panel for panel in _PANELS if panel.removeprefix("with a ") in lines), _PANELS[0])


def _draw(axes: Axes, grid: np.ndarray, name: str, style: Any, regrets: list[list[float]]) -> None:
    middle = np.quantile(regrets, 0.5, axis=0, method="inverted_cdf")
    look = {"color": "black"} if name == BASELINE else {}
    axes.plot(grid, np.where(np.isfinite(middle), middle, np.nan), label=name, linestyle=style, **look)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", default="digits")
    parser.add_argument("--tables-dir", type=Path, default=TABLES)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=[*_COMPARED, *_BESIDE])
    parser.add_argument("--replays", type=int, default=50)
    parser.add_argument("--budget-epochs", type=int, default=10_000)
    parser.add_argument("--trials", type=int, default=800, help="at most, repeated ones included")
    parser.add_argument("--workers", type=int, default=4, help="simulated")
    parser.add_argument("--within", type=float, default=0.2, help="points of validation error")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--output", type=Path, help="JSON")
    parser.add_argument("--picture", type=Path, help="regret against epochs")
    options = parser.parse_args()
    table = load_table(options.table, options.tables_dir)
    traces = run_replays(
        (options.table, options.tables_dir),
        [METHODS[name] for name in options.methods],
        options.replays,
        options.processes,
        budget_epochs=options.budget_epochs,
        trials=options.trials,
        workers=options.workers,
    )
    checkpoints = [int(options.budget_epochs * share) for share in (0.05, 0.1, 0.25, 0.5, 1)]
    rows = [
        summarize_method(name, found, table.best, within=options.within / 100, checkpoints=checkpoints)
        for name, found in traces.items()
    ]
    print_table(rows, options.within / 100)
    protocol = {
        "table": options.table,
        "points": len(table.true_errors),
        "trainings": len(table.trainings),
        "best_error": table.best,
        "points_within": sum(e <= table.best + options.within / 100 for e in table.true_errors.values()),
        **{name: getattr(options, name) for name in ("replays", "budget_epochs", "trials", "workers")},
        "within_points": options.within,
    }
    write_result("search_quality", protocol, rows, options.output)
    if options.picture:
        plot(traces, table.best, options.budget_epochs, options.picture, within=options.within)


if __name__ == "__main__":
    main()
