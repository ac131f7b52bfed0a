"""What is kept and shown of a study holds no password, however it was written."""

from __future__ import annotations

import time

import pytest

from archsearch.errors import ArchsearchError, StudyError, TrackingError, hide_passwords
from archsearch.study import parse_study
from archsearch.study.public_text import escape_markdown

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql+psycopg://me:p@ss/w@host:5432/db", "postgresql+psycopg://me:***@host:5432/db"),
        ("http://me:secret@host", "http://me:***@host"),
        ("cannot reach http://a:b@c or http://d:e@f.", "cannot reach http://a:***@c or http://d:***@f."),
        ("http://:token@host", "http://:***@host"),
        ("http://me:two words@host", "http://me:***@host"),
        ("postgresql://host/db?user=me&password=s3cr3t&x=1", "postgresql://host/db?user=me&password=***&x=1"),
        ("connection failed: PASSWORD=s3cr3t host=h", "connection failed: PASSWORD=*** host=h"),
        ("http://host:5000/path", "http://host:5000/path"),
        ("http://me@host", "http://me@host"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("a@b\nhttp://host:1 x\nhttp://a:b@c", "a@b\nhttp://host:1 x\nhttp://a:***@c"),
    ],
)
def test_passwords_are_starred_out(text: str, shown: str) -> None:
    assert hide_passwords(text) == shown


@pytest.mark.parametrize("part", ["://a:", "://a: ", "://", "password=", "@://a:"])
@pytest.mark.parametrize("end", ["", "@"])
def test_it_takes_no_longer_than_its_length(part: str, end: str) -> None:
    text = part * (64 * 1024 // len(part)) + end
    start = time.process_time()
    hide_passwords(text)
    assert time.process_time() - start < 1


STUDIES = [
    f"# once: postgresql://me:{SECRET}@old/db\nname: s\ntracking: {{uri: 'postgresql://me:{SECRET}@h/db'}}\n",
    f"name: s\ntracking: {{uri: http://me:{SECRET}@h,enabled: true, optuna: mysql://a:{SECRET}@b/c}}\n",
    f"name: s\ntracking: {{uri: http://me:two {SECRET}@h}}\n",
    f'name: s\ntracking:\n  uri: "postgresql:\\x2f/me:{SECRET}@h/db"\n',
    'name: s\ntracking:\n  uri: "postgresql://me:s3\\x63r3t@h/db"\n',
    f'name: s\ntracking:\n  uri: "postgresql://me:\\\n    {SECRET}@h/db"\n',
    f"name: s\ntracking:\n  optuna: >-\n    postgresql://me:{SECRET}@h/db\n",
    f"name: s\nexecution: {{executor: ray, address: 'redis://:{SECRET}@h:1'}}\n",
    f"{{name: s,tracking: {{uri: 'http://me:{SECRET}@h',optuna: 'sqlite:///a@b.db'}}}}\n",
]


@pytest.mark.parametrize("text", STUDIES)
def test_a_study_is_kept_without_them_and_is_the_same_study(text: str) -> None:
    study = parse_study(text, "s.yaml")
    kept = parse_study(study.public_text, "s.yaml")

    assert SECRET not in study.public_text
    assert r"s3\x63r3t" not in study.public_text
    for group, name in (("tracking", "uri"), ("tracking", "optuna"), ("execution", "address")):
        own = getattr(getattr(study, group), name)
        assert getattr(getattr(kept, group), name) == hide_passwords(own)
    assert kept.identity() == study.identity()
    assert kept.public_text == study.public_text


def test_comments_stay_without_them() -> None:
    text = f"name: s   # not http://me:{SECRET}@h\ntracking: {{uri: 'http://me:{SECRET}@h'}}  # mine\n"
    starred = "name: s   # not http://me:***@h\ntracking: {uri: 'http://me:***@h'}  # mine\n"
    assert parse_study(text, "s.yaml").public_text == starred


def test_a_study_without_passwords_is_kept_as_it_is() -> None:
    text = "name: s   # mine\ntracking: {uri: http://host:5000}\n"
    assert parse_study(text, "s.yaml").public_text == text


@pytest.mark.parametrize(
    "line",
    [
        f"tracking: {{uri: [postgresql://me:{SECRET}@h/db]}}",
        f"tracking: postgresql://me:{SECRET}@h/db",
        f"trackin: {{uri: postgresql://me:{SECRET}@h/db}}",
        f"tracking: {{uri: {{'postgresql://me:{SECRET}@h/db': 1}}}}",
        f"tracking: {{'postgresql://me:{SECRET}@h/db': 1}}",
        f"data: {{name: digits, val_frac: 'http://me:{SECRET}@h{'x' * 100}'}}",
        f"data: {{name: digits, val_frac: 'http://me:{SECRET}{'x' * 100}@h{'y' * 100}'}}",
    ],
)
def test_no_error_shows_one(line: str) -> None:
    with pytest.raises(StudyError) as caught:
        parse_study(f"name: s\n{line}\n", "s.yaml")

    assert SECRET not in str(caught.value)


def test_an_error_hides_what_a_library_says() -> None:
    said = f"API request to http://me:{SECRET}@host:5000/api failed"

    assert SECRET not in str(TrackingError(said))
    assert SECRET not in str(ArchsearchError(said))


def test_an_error_is_one_paragraph_that_no_terminal_obeys() -> None:
    error = StudyError("must be seen\nwhole", path="a\x1b[2Jb", got="c\x07", where="s\r.yaml:1")

    assert str(error).isprintable()
    assert "\\x1b[2J" in str(error)


def test_markdown_shows_values_as_they_are() -> None:
    assert escape_markdown("<script>x</script> & [a](http://b) `c`\n| d") == (
        r"&lt;script&gt;x&lt;/script&gt; &amp; \[a\](http://b) \`c\` \| d"
    )
