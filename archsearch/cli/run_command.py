"""`archsearch run`."""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import click

from archsearch.cli.options import json_option, runs_folder_option
from archsearch.study import load_study


@click.command("run", epilog="Example: archsearch run search_spaces/resnet_space.yaml")
@click.argument("study", type=click.Path(path_type=Path), metavar="STUDY.yaml")
@runs_folder_option
@json_option("End with one JSON object on standard output; progress goes to standard error.")
def command(study: Path, runs_folder: Path, as_json: bool) -> None:
    """Train what a study asks for, write the journal, MLflow and a report, and show the best.

    A study that was interrupted goes on where it stopped; one that is finished trains nothing.

    Ctrl-C finishes what is being trained and starts nothing else; pressed again it stops at once, as SIGTERM
    does. The exit code is 130 after Ctrl-C, and 143 after SIGTERM.
    """
    began = time.monotonic()
    # Before the imports that take seconds: what is wrong with a study is said at once.
    config = load_study(study)
    from archsearch.application.mirroring import build_mirror
    from archsearch.application.stopping import Stopping
    from archsearch.cli.progress import Progress

    with Progress(config, sys.stderr if as_json else sys.stdout) as progress, ExitStack() as stack:
        stopping = stack.enter_context(Stopping(progress.say))
        mirror = build_mirror(config, runs_folder, progress.say)
        if mirror:
            # It imports MLflow while the lines below import torch and Lightning.
            stack.callback(mirror.close)
            mirror.start()
        from archsearch.application.reporting import Report, write_report
        from archsearch.application.running import run_study

        reports: list[Report | None] = []
        outcome = run_study(
            config,
            runs_folder=runs_folder,
            recall=progress.recall,
            listen=progress.hear,
            say=progress.say,
            conclude=lambda folder, history: reports.append(write_report(folder, history)),
            mirror=mirror,
            stopping=stopping,
            began=began,
        )
    if as_json:
        click.echo(json.dumps(outcome.to_mapping()))
        return
    from archsearch.cli.outcome_tables import print_outcome

    print_outcome(outcome, reports[0])
