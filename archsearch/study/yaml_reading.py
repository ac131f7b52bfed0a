"""YAML text -> plain values, with the line of every key and value.

Events are read one by one and counted, so that a hostile file is refused before anything is expanded.
Scalars follow the YAML 1.2 core schema, with underscores in numbers: ``1e-3`` is a number, ``on`` is text.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from archsearch.errors import StudyError

MAX_BYTES = 64 * 1024
MAX_DEPTH = 12
MAX_VALUES = 5000

Path = tuple[str | int, ...]
Kind = Literal["scalar", "list", "mapping"]

_INTEGER = re.compile(r"[-+]?[0-9][0-9_]*")
_NUMBER = re.compile(r"[-+]?(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Document:
    """What a YAML file says, and where it says it.

    Attributes:
        value: Mappings, lists and scalars; keys are text.
        source: The file's name in messages.
        key_lines: Line of each mapping key, by the path of its value.
        value_lines: Line on which each value starts.
    """

    value: Any
    source: str
    key_lines: dict[Path, int]
    value_lines: dict[Path, int]

    def where(self, path: Path) -> str:
        """File and line of a value: of a scalar itself, of the key above a list or mapping."""
        while path and path not in self.value_lines:
            path = path[:-1]
        line = self.value_lines.get(path, 1)
        value = self.value
        for step in path:
            value = value[step]
        if isinstance(value, dict | list):
            line = self.key_lines.get(path, line)
        return f"{self.source}:{line}"

    def key_error(self, path: Path, rule: str, **more: Any) -> StudyError:
        """A StudyError about a key itself, at the key's line."""
        line = self.key_lines.get(path)
        where = f"{self.source}:{line}" if line else self.where(path)
        return StudyError(rule, path=dotted(path), where=where, **more)

    def error(self, path: Path, rule: str, **more: Any) -> StudyError:
        """A StudyError about the value at a path, at its line."""
        return StudyError(rule, path=dotted(path), where=self.where(path), **more)


def dotted(path: Path) -> str:
    """``("sweep", "depth", 1)`` -> ``sweep.depth[1]``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def read_yaml(text: str, source: str) -> Document:
    """Read one YAML document.

    Raises:
        StudyError: Not YAML, larger or deeper than a study can be, a key written twice, a tag, more than
            one document, nothing at all.
    """
    _check_text(text, source)
    with warnings.catch_warnings():
        # ruamel warns of some broken files that it then refuses.
        warnings.simplefilter("ignore")
        root = _Composer(source).compose(text)
    document = Document(_plain(root), source, {}, {})
    _note_lines(root, (), document)
    return document


def decode(content: bytes, source: str) -> str:
    """UTF-8 bytes (with or without a byte order mark) -> text of at most 64 KiB.

    Raises:
        StudyError: Larger, or not UTF-8.
    """
    if len(content) > MAX_BYTES:
        raise _too_large(source)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise StudyError(
            "must be UTF-8 text", got=content[error.start : error.start + 1], where=f"{source}:{line}"
        ) from error


def _too_large(source: str) -> StudyError:
    return StudyError(f"must be at most {MAX_BYTES // 1024} KiB", where=source, fix="Is this a study file?")


def _check_text(text: str, source: str) -> None:
    # A character is at least a byte, so this bounds the work before encoding.
    if len(text) > MAX_BYTES or len(text.encode(errors="replace")) > MAX_BYTES:
        raise _too_large(source)
    found = _CONTROL.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        raise StudyError("must hold no control characters", got=found.group(), where=f"{source}:{line}")


@dataclass
class _Node:
    """A value as composed; an alias shares the node of its anchor."""

    kind: Kind
    line: int
    scalar: Any = None
    items: list[_Node] = field(default_factory=list)
    entries: dict[str, tuple[int, _Node]] = field(default_factory=dict)
    values: int = 1
    height: int = 1

    def add(self, child: _Node) -> None:
        """Count a child's values as if it were written out here."""
        self.values += child.values
        self.height = max(self.height, child.height + 1)


class _Composer:
    """Builds nodes from events, refusing what a study never needs."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._anchors: dict[str, _Node | None] = {}
        self._events: Iterator[Event] = iter(())

    def compose(self, text: str) -> _Node:
        self._events = self._parse(text)
        self._expect(StreamStartEvent)
        if isinstance(next(self._events), StreamEndEvent):
            raise StudyError("must hold a study, but the file is empty", where=self._source)
        root = self._compose_node(next(self._events), ())
        self._expect(DocumentEndEvent)
        event = next(self._events)
        if isinstance(event, DocumentStartEvent):
            raise self._error("must hold one document", event, fix="Put each study in a file of its own.")
        return root

    def _parse(self, text: str) -> Iterator[Event]:
        try:
            yield from YAML(typ="safe", pure=True).parse(text)
        except StudyError:
            raise
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f":{mark.line + 1}" if mark else ""
            problem = " ".join(str(error.problem or error.context).split())
            raise StudyError(f"must be YAML: {problem}", where=f"{self._source}{line}") from error
        # ruamel's scanner answers some broken files with whatever Python raised inside it.
        except (YAMLError, ValueError, TypeError, LookupError, AttributeError, AssertionError) as error:
            problem = " ".join(str(error).split())
            raise StudyError(f"must be YAML: {problem}", where=self._source) from error

    def _error(self, rule: str, event: Event, path: Path = (), **more: Any) -> StudyError:
        return StudyError(rule, path=dotted(path), where=f"{self._source}:{_line(event)}", **more)

    def _expect(self, kind: type[Event]) -> None:
        event = next(self._events)
        if not isinstance(event, kind):
            raise self._error("must hold one value", event)

    def _compose_node(self, event: Event, path: Path) -> _Node:
        if len(path) >= MAX_DEPTH:
            raise self._error(f"must be nested at most {MAX_DEPTH} deep", event)
        if isinstance(event, AliasEvent):
            return self._aliased(event, path)
        assert isinstance(event, NodeEvent)
        tag = getattr(event, "tag", None)
        if tag:
            raise self._error("must hold no YAML tags", event, path, got=str(tag))
        anchor = event.anchor
        if anchor is not None:
            if anchor in self._anchors:
                raise self._error(f"must name an anchor only once: &{anchor}", event, path)
            self._anchors[anchor] = None
        node = self._compose_content(event, path)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _aliased(self, event: AliasEvent, path: Path) -> _Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            raise self._error(f"must name an anchor that ended further up: *{event.anchor}", event, path)
        if len(path) + node.height > MAX_DEPTH:
            raise self._error(f"must be nested at most {MAX_DEPTH} deep", event)
        return node

    def _compose_content(self, event: NodeEvent, path: Path) -> _Node:
        if isinstance(event, ScalarEvent):
            return _Node("scalar", _line(event), self._scalar(event, path))
        node = _Node("list" if isinstance(event, SequenceStartEvent) else "mapping", _line(event))
        while isinstance(child := next(self._events), NodeEvent):
            if isinstance(event, MappingStartEvent):
                self._compose_entry(node, child, path)
            else:
                node.items.append(self._compose_node(child, (*path, len(node.items))))
                node.add(node.items[-1])
            if node.values > MAX_VALUES:
                raise self._error(f"must hold at most {MAX_VALUES} values", child)
        return node

    def _compose_entry(self, node: _Node, key: NodeEvent, path: Path) -> None:
        if not isinstance(key, ScalarEvent) or getattr(key, "tag", None) or key.anchor is not None:
            raise self._error("must have plain names as keys", key, path)
        name = key.value
        if _CONTROL.search(name):
            raise self._error("must hold no control characters", key, path, got=name)
        if name in node.entries:
            first = node.entries[name][0]
            raise self._error(f"must be written once, but line {first} holds it too", key, (*path, name))
        value = self._compose_node(next(self._events), (*path, name))
        node.entries[name] = (_line(key), value)
        node.add(value)

    def _scalar(self, event: ScalarEvent, path: Path) -> Any:
        text = event.value
        if _CONTROL.search(text):
            raise self._error("must hold no control characters", event, path, got=text)
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            # 64 bits: what a journal, SQLite and every reader of JSON can hold.
            if len(text) > 40 or abs(int(text.replace("_", ""))) >= 2**63:
                raise self._error("must be an integer of at most 64 bits", event, path, got=text)
            return int(text.replace("_", ""))
        if _NUMBER.fullmatch(text):
            return float(text.replace("_", ""))
        return text


def _line(event: Event) -> int:
    return int(event.start_mark.line) + 1


def _plain(node: _Node) -> Any:
    if node.kind == "list":
        return [_plain(item) for item in node.items]
    if node.kind == "mapping":
        return {name: _plain(value) for name, (_, value) in node.entries.items()}
    return node.scalar


def _note_lines(node: _Node, path: Path, document: Document) -> None:
    document.value_lines[path] = node.line
    for index, item in enumerate(node.items):
        _note_lines(item, (*path, index), document)
    for name, (line, value) in node.entries.items():
        document.key_lines[(*path, name)] = line
        _note_lines(value, (*path, name), document)
