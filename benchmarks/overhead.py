"""What a sweep costs beside its bare training loops, and beside the stack that people write by hand.

    python -m benchmarks.overhead --output benchmarks/results/overhead.json
    python -m benchmarks.overhead --tasks digits-resnet8-20 --stacks bare local --rounds 5

Stacks: `bare` (a PyTorch loop in one process, one thread), `bare_dealt` (the trainings dealt to one such
loop a core), `inline` (archsearch, this process, one thread, 32), `local` (archsearch, one worker a core,
32), `local_auto` (archsearch at its defaults), `hand_written` (Optuna on SQLite, Lightning Trainer and
MLFlowLogger at their defaults), `ray_tune` (where ray is installed).

Tasks. `digits-resnet8`: three learning rates under one seed, so that nothing can be packed, for the
overhead on the smallest network. `digits-resnet20`: twelve trainings alike but for their rates, for how
much more the workers train than one process, beside what the cores give bare loops. `images32-resnet20`:
one network that keeps a core busy, for two epochs, after which its accuracy says nothing yet.
`digits-resnet8-20`: the sweep of two depths, three learning rates and three seeds, which has work for all
that archsearch makes of a machine.

Protocol. Every run is a fresh process. In each round all stacks of a task run in turn (same networks, data,
batch size, optimiser, schedule, epochs and seeds; the bare loops and archsearch begin with the same weights
and take the images in the same order, of which the others shuffle their own). Inside the clock is everything
but imports: Optuna, MLflow on SQLite, the journal, the start of workers, evaluation, weights. Imports stand
outside it, also those that the fork server of the workers makes, those of the process that writes to MLflow
(which `archsearch run` makes while it imports torch itself), and those of Ray's start; Ray's trials import
what they need inside it. MLflow's database is created before. Given are median, least and largest seconds
over the rounds, the ratio to `bare` and to `hand_written` round by round, and the mean validation accuracy;
of archsearch also `training_seconds`, from the start of the first training to the end of the last, which
leaves out what a study does once (measuring, reading the test set, closing MLflow). Where a task has more
than one process, `factors` takes hand_written over local_auto apart: overhead (hand_written over bare),
packing (bare over inline: memory format too, less what archsearch costs), parallelism (inline over local),
precision (local over local_auto); cores (bare over bare_dealt) is what the machine has to give.
Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

from archsearch.journal import Record
from benchmarks.machine import summarize, write_result
from benchmarks.tasks import TASKS, Task

STACKS = ("bare", "bare_dealt", "inline", "local", "local_auto", "hand_written", "ray_tune")
DEFAULT_STACKS = {
    "digits-resnet8": ("bare", "inline", "hand_written", "ray_tune"),
    "digits-resnet20": ("bare", "bare_dealt", "inline", "local"),
    "digits-resnet8-20": ("bare", "inline", "local", "local_auto", "hand_written", "ray_tune"),
    "images32-resnet20": ("bare", "inline"),
}
_FACTORS = {
    "overhead": ("hand_written", "bare"),
    "packing": ("bare", "inline"),
    "cores": ("bare", "bare_dealt"),
    "parallelism": ("inline", "local"),
    "precision": ("local", "local_auto"),
    "all": ("hand_written", "local_auto"),
}


def prepare(stack: str, task: Task, folder: str) -> Callable[[], float | dict[str, float]]:
    """Import and set up what is not timed; returns what is, which gives the mean accuracy, and maybe more."""
    # Every optimizer's first step does, in every stack; this takes it out of the clock of all.
    import torch._dynamo  # noqa: F401

    if stack == "bare":
        from benchmarks import bare_loop

        return lambda: bare_loop.run(task)
    if stack == "bare_dealt":
        from benchmarks import bare_loop

        processes = os.cpu_count() or 1
        pool = get_context("fork").Pool(processes)
        return lambda: bare_loop.run_dealt(task, pool, processes)
    _create_store(folder)
    if stack == "hand_written":
        from benchmarks import hand_written

        return lambda: hand_written.run(task, folder)
    if stack == "ray_tune":
        import ray

        from benchmarks import ray_tune

        ray.init(num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False)
        return lambda: ray_tune.run(task, folder)
    return _prepare_archsearch(stack, task, folder)


def _prepare_archsearch(stack: str, task: Task, folder: str) -> Callable[[], dict[str, float]]:
    import archsearch.training.compute
    import archsearch.training.loop  # noqa: F401 - an import, outside the clock
    from archsearch.application.mirroring import build_mirror
    from archsearch.application.running import run_study
    from archsearch.execution.launching import START_METHOD, prepare_context
    from archsearch.study import load_study

    if stack != "inline":
        context = prepare_context(START_METHOD, ["archsearch.training.loop"])
        # Ends when the fork server has imported what it preloads.
        process = context.Process(target=os.getpid)
        process.start()
        process.join()
    path, runs_folder = Path(folder) / "study.yaml", Path(folder) / "runs"
    path.write_text(
        task.study(
            executor="inline" if stack == "inline" else "local",
            precision="auto" if stack == "local_auto" else "32",
            mlflow=f"sqlite:///{folder}/mlflow.db",
        ),
        encoding="utf-8",
    )

    mirror = build_mirror(load_study(path), runs_folder, print)
    assert mirror is not None
    mirror.start()
    mirror.wait_until_ready()

    def run() -> dict[str, float]:
        times: dict[str, list[float]] = {"started": [], "replicate": []}

        def listen(record: Record) -> None:
            if record.kind in times:
                times[record.kind].append(record.time)

        outcome = run_study(load_study(path), runs_folder=runs_folder, listen=listen, mirror=mirror)
        accuracies = [trial.metrics["val_accuracy"] for trial in outcome.history.trials.values()]
        assert all(trial.outcome == "complete" for trial in outcome.history.trials.values())
        return {
            "accuracy": sum(accuracies) / len(accuracies),
            "training_seconds": max(times["replicate"]) - min(times["started"]),
        }

    return run


def _create_store(folder: str) -> None:
    import mlflow

    mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()


def time_once(stack: str, task: str) -> dict[str, float]:
    """Run one stack in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.overhead", "--once", stack, "--tasks", task]
    # The threads of the others are for them to choose.
    env = {**os.environ, "OMP_NUM_THREADS": "1"} if stack in ("bare", "bare_dealt", "inline") else None
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise RuntimeError(f"{stack} on {task} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _once(stack: str, task: Task) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        run = prepare(stack, task, folder)
        before = time.perf_counter()
        found = run()
        seconds = time.perf_counter() - before
    more = found if isinstance(found, dict) else {"accuracy": found}
    print(json.dumps({"seconds": seconds, **more}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", choices=sorted(TASKS), default=list(DEFAULT_STACKS))
    parser.add_argument("--stacks", nargs="+", choices=STACKS, help="default: those that a task is for")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--once", choices=STACKS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        _once(arguments.once, TASKS[arguments.tasks[0]])
        return
    results = []
    for task in arguments.tasks:
        stacks = arguments.stacks or DEFAULT_STACKS[task]
        rounds = [{stack: time_once(stack, task) for stack in stacks} for _ in range(arguments.rounds)]
        results += [_summary(task, stack, rounds) for stack in stacks]
        if {"inline", "local"} <= set(stacks):
            results.append({"task": task, "factors": _take_apart(rounds)})
    write_result("overhead", {"rounds": arguments.rounds}, results, arguments.output)


def _take_apart(rounds: list[dict[str, dict[str, float]]]) -> dict[str, dict]:
    factors = {
        factor: summarize([one[slow]["seconds"] / one[fast]["seconds"] for one in rounds])
        for factor, (slow, fast) in _FACTORS.items()
        if {slow, fast} <= rounds[0].keys()
    }
    slow, fast = _FACTORS["parallelism"]
    while_training = [one[slow]["training_seconds"] / one[fast]["training_seconds"] for one in rounds]
    return {**factors, "parallelism_while_training": summarize(while_training)}


def _summary(task: str, stack: str, rounds: list[dict[str, dict[str, float]]]) -> dict:
    measured = {name: summarize([one[stack][name] for one in rounds]) for name in rounds[0][stack]}
    summary = {"task": task, "stack": stack, **measured}
    for reference in ("bare", "hand_written"):
        if reference in rounds[0] and reference != stack:
            ratios = [one[stack]["seconds"] / one[reference]["seconds"] for one in rounds]
            summary[f"of_{reference}"] = summarize(ratios)
    return summary


if __name__ == "__main__":
    main()
