"""The command line: one module a command, loaded when it is asked for."""

from __future__ import annotations

import difflib
import importlib
import signal
import sys

import click

from archsearch.errors import ArchsearchError, Terminated

_COMMANDS = {
    "init": "Write ready-made studies into a folder, to run or to change.",
    "run": "Train what a study asks for; goes on where it stopped.",
    "plan": "Show what a study would train, and what it would cost.",
    "list": "List the studies that were run: state, trials, best, time, disk.",
    "status": "Say how far a study is, what runs, and how long it will take.",
    "show": "Show a study and what it found, or all about one of its trials.",
    "compare": "Put studies or trials side by side: settings, errors, cost.",
    "describe": "Depth, parameters, MACs and memory of networks, side by side.",
    "report": "Draw a study's depth curve and list its results.",
    "lesion": "Remove blocks of trained networks and measure the damage.",
    "deepen": "Compare deep networks with shallower ones extended by identities.",
    "identity": "Measure how well stacks of blocks learn to copy their input.",
    "export": "Write the best network as a folder that anyone can use.",
    "predict": "Classify image files with an exported network.",
    "verify": "Check the checksums and outputs of an exported folder.",
    "ui": "Open the MLflow or Optuna dashboard of a study.",
    "sync": "Bring report, MLflow and Optuna's copy up to a study's journal.",
    "reproduce": "Train a trial again, and compare it with what was recorded.",
    "schema": "Print the JSON Schema of the study file, for editors.",
    "doctor": "Say what machine this is, what is broken, and how to mend it.",
}


class _LazyGroup(click.Group):
    """Knows its commands by name; imports a command's module only to run it or to print its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"archsearch.cli.{cmd_name}_command")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in _COMMANDS or args[0].startswith("-"):
            return super().resolve_command(ctx, args)
        near = difflib.get_close_matches(args[0], _COMMANDS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: archsearch run search_spaces/resnet_space.yaml",
)
@click.version_option(package_name="archsearch")
def cli() -> None:
    """How deep should my network be, and which skip connection lets it be that deep?"""


def main() -> None:
    """Run a command; errors are one paragraph, exit code 2 for bad input and 1 for a failure."""
    try:
        cli(prog_name="archsearch", standalone_mode=False)
    except click.exceptions.Exit as request:
        sys.exit(request.exit_code)
    except click.exceptions.NoArgsIsHelpError as help_page:
        help_page.show()
        sys.exit(help_page.exit_code)
    except click.ClickException as error:
        click.echo(f"archsearch: {_sentence(error)}", err=True)
        sys.exit(error.exit_code)
    except ArchsearchError as error:
        click.echo(f"archsearch: {error}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort) as stop:
        # Another Ctrl-C while Python cleans up would print a traceback.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        click.echo("archsearch: stopped. The same command goes on from here.", err=True)
        # click makes an Abort of either
        sys.exit(143 if Terminated in (type(stop), type(stop.__cause__)) else 130)
    except BrokenPipeError:
        # The reader of our output has gone, as `| head` does.
        sys.stderr.close()
        sys.exit(1)


def _sentence(error: click.ClickException) -> str:
    message = " ".join(error.format_message().split())
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{message} See: {error.ctx.command_path} --help"
    return message
