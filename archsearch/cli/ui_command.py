"""`archsearch ui`."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from archsearch.cli.options import complete_studies, runs_folder_option


@click.command("ui", epilog="Example: archsearch ui resnet-space")
@click.argument("study", metavar="[STUDY]", required=False, shell_complete=complete_studies)
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="On 127.0.0.1.")
@click.option(
    "--dashboard",
    type=click.Choice(["mlflow", "optuna"]),
    default="mlflow",
    show_default=True,
    help="Whose pages; optuna's show searches alone.",
)
@click.option("--uri", default="", help="MLflow tracking URI; as in the study where not given.")
@click.option("--open/--no-open", "open_browser", default=True, help="Open a browser.")
@runs_folder_option
def command(
    study: str | None, port: int, dashboard: str, uri: str, open_browser: bool, runs_folder: Path
) -> None:
    """Serve the pages of a study on this machine and open them; Ctrl-C ends it.

    Nobody else can reach them. For several people run an MLflow server and name it in the study:
    tracking: {uri: http://...}. Then that server's own pages are opened.
    """
    from archsearch.application.serving import show_optuna_pages, show_pages

    if dashboard == "optuna" and uri:
        raise click.UsageError("--uri is MLflow's: --dashboard optuna reads the journals of run folders.")
    # Whoever ends this command means the server too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    click.echo("Making the pages ready, which takes some seconds ...")
    if dashboard == "optuna":
        pages = show_optuna_pages(study, port=port, runs_folder=runs_folder)
    else:
        pages = show_pages(study, port=port, uri=uri, runs_folder=runs_folder)
    with pages as shown:
        if shown.served_here:
            reach = "Only this machine reaches it: `archsearch ui --help` says what to do for more."
            more = f"{reach} Ctrl-C ends it."
        else:
            more = "The server's own page: whoever may use that server reaches it, and it asks for the login."
        click.echo(f"{shown.address}\n{more}")
        if open_browser:
            click.launch(shown.address)
        if not shown.served_here:
            return
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            click.echo("\nEnded.")
