"""The reference of the study file and of the command line, as Markdown, from what the program itself reads.

Imports nothing heavy, and nothing of MkDocs, so that it can be tested anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from inspect import cleandoc
from typing import Any

import click

from archsearch.architecture import published_names
from archsearch.cli import cli
from archsearch.study import study_schema

Schema = Mapping[str, Any]

_GROUPS = ("data", "architecture", "training", "budget", "execution", "tracking")
_CHOICES = ("sampler", "pruner", "scheduler")
# Their values are those of the groups above.
_DIMENSIONS = ("sweep", "search")
_BOUNDS = {
    "minimum": "of at least",
    "exclusiveMinimum": "above",
    "maximum": "of at most",
    "exclusiveMaximum": "below",
}


def fill_in(markdown: str) -> str:
    """Replace each line `<!-- generated: NAME -->` by what NAME stands for."""
    for name, write in _GENERATED.items():
        marker = f"<!-- generated: {name} -->"
        if marker in markdown:
            markdown = markdown.replace(marker, write())
    return markdown


def write_study_file() -> str:
    """Write every key of a study, with its values, defaults and meaning."""
    properties: dict[str, Schema] = study_schema()["properties"]
    return "\n".join(line for key, schema in properties.items() for line in _key_section(key, schema))


def write_command_line() -> str:
    """Write every command with its arguments and options."""
    context = click.Context(cli, info_name="archsearch")
    lines: list[str] = []
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        lines += _command_section(command, click.Context(command, info_name=name, parent=context))
    return "\n".join(lines)


def write_published_names() -> str:
    """List the names of published networks."""
    return ", ".join(f"`{name}`" for name in published_names())


_GENERATED: Mapping[str, Callable[[], str]] = {
    "study file": write_study_file,
    "command line": write_command_line,
    "published names": write_published_names,
}


def _key_section(key: str, schema: Schema) -> list[str]:
    lines = [f"## `{key}`", "", str(schema["description"]), ""]
    if key in _DIMENSIONS:
        return [*lines, "A mapping of [leaves](#leaves) to [dimensions](#dimensions).", ""]
    if key in _GROUPS:
        group = next(option for option in _options(schema) if "properties" in option)
        others = [option for option in _options(schema) if option is not group]
        if others:
            lines += [f"{_sentence(_say_options(others))}, or a mapping:", ""]
        return [*lines, *_field_table(group), ""]
    if key in _CHOICES:
        return [*lines, *_choice_table(schema), ""]
    return [*lines, f"{_sentence(say_values(schema))}.{_say_default(schema)}", ""]


def _options(schema: Schema) -> list[Schema]:
    return list(schema.get("anyOf", [schema]))


def _field_table(group: Schema) -> list[str]:
    rows = [
        (
            f"`{name}`",
            say_values(field),
            _show(field.get("default")),
            field["description"],
        )
        for name, field in group["properties"].items()
    ]
    return _table(("key", "values", "default", "meaning"), rows)


def _choice_table(schema: Schema) -> list[str]:
    options = {
        option["properties"]["name"]["const"]: option["properties"]
        for option in _options(schema)
        if "properties" in option
    }
    names = next(option["enum"] for option in _options(schema) if "enum" in option)
    rows = [(f"`{name}`", _say_options_of(options.get(name, {}))) for name in names]
    return _table(("name", "options"), rows)


def _say_options_of(fields: Mapping[str, Schema]) -> str:
    return "; ".join(f"`{key}`: {say_values(field)}" for key, field in fields.items() if key != "name")


def say_values(schema: Schema) -> str:
    """Say in plain English what values a JSON Schema allows."""
    if "anyOf" in schema:
        return _say_options([option for option in schema["anyOf"] if option != {"type": "null"}])
    if "const" in schema:
        return _show(schema["const"])
    if "enum" in schema:
        return _say_names(schema["enum"])
    if schema.get("type") == "array":
        return f"a list, each {say_values(schema['items'])}" if "items" in schema else "a list"
    if schema.get("type") == "object":
        return _say_mapping(schema)
    nouns = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text"}
    return nouns[schema["type"]] + _say_bounds(schema)


def _say_options(options: Iterable[Schema]) -> str:
    return ", or ".join(dict.fromkeys(say_values(option) for option in options))


def _say_names(names: list[Any]) -> str:
    if list(names) == list(published_names()):
        return "the name of a [published network](#published-networks)"
    return ", ".join(dict.fromkeys(_show(name) for name in names))


def _say_mapping(schema: Schema) -> str:
    if "properties" not in schema:
        return "a mapping"
    parts = [f"`{name}` ({say_values(field)})" for name, field in schema["properties"].items()]
    return f"a mapping of {', '.join(parts)}"


def _say_bounds(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low:,} to {high:,}"
    parts = [f"{word} {schema[key]:,}" for key, word in _BOUNDS.items() if schema.get(key) is not None]
    return " " + " and ".join(parts) if parts else ""


def _say_default(schema: Schema) -> str:
    return f" Default: {_show(schema['default'])}." if "default" in schema else ""


def _show(value: Any) -> str:
    if value is None:
        return ""
    if value == "":
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, (list, tuple)):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _command_section(command: click.Command, context: click.Context) -> list[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"## `{command.name}`", "", "```text", f"{context.command_path} {usage}", "```", ""]
    lines += [cleandoc(command.help or ""), ""]
    records = [
        record
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context))
        # Of every command; the page says so once.
        if "--help" not in parameter.opts
    ]
    if records:
        lines += [
            *_table(("option", "does"), [(f"`{option}`", _escape(said)) for option, said in records]),
            "",
        ]
    return [*lines, _example(command.epilog or ""), ""]


def _example(epilog: str) -> str:
    title, _, line = epilog.partition(": ")
    return f"{title}:\n\n```bash\n{line}\n```"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    return [*lines, *(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)]


def _escape(text: str) -> str:
    # Words in capitals and the like are meant as they stand.
    return text.replace("*", r"\*").replace("<", "&lt;").replace("_", r"\_")
