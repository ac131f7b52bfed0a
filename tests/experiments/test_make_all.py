"""Hours of claims: what is wrong is known before any is run, and none waits for another that failed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from archsearch.errors import InputError
from experiments import claims
from experiments import make as making
from experiments.claims import CLAIMS, Claim
from experiments.findings import Finding, Part

FIRST, SECOND = list(CLAIMS.values())[:2]
FOUND = Finding((Part("error rises", "points", None, None, None, "undecided"),))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was loaded, made and written, in this order; nothing is trained."""
    done: list[str] = []
    monkeypatch.setattr(making, "load_studies", lambda claim, **_: done.append(f"load {claim.name}"))
    monkeypatch.setattr(making, "write_pages", lambda: done.append("pages"))
    monkeypatch.setattr(making, "make", lambda claim, **_: done.append(claim.name) or FOUND)
    return done


def let_fail(monkeypatch: pytest.MonkeyPatch, made: list[str], error: BaseException) -> None:
    def make(claim: Claim, **_: Any) -> Finding:
        made.append(claim.name)
        if claim == FIRST:
            raise error
        return FOUND

    monkeypatch.setattr(making, "make", make)


def test_all_studies_are_loaded_before_any_is_run(made: list[str]) -> None:
    assert making.make_all([FIRST, SECOND]) == []

    assert made == [f"load {FIRST.name}", f"load {SECOND.name}", FIRST.name, "pages", SECOND.name, "pages"]


@pytest.mark.parametrize("error", [ValueError("no such column"), SystemExit("not finished")])
def test_a_claim_that_fails_is_told_and_the_next_is_made(
    error: BaseException, made: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    let_fail(monkeypatch, made, error)

    assert making.make_all([FIRST, SECOND]) == [FIRST.name]

    assert made[2:] == [FIRST.name, SECOND.name, "pages"]
    assert str(error) in capsys.readouterr().err


def test_who_stops_it_stops_all(made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    let_fail(monkeypatch, made, KeyboardInterrupt())

    with pytest.raises(KeyboardInterrupt):
        making.make_all([FIRST, SECOND])

    assert made[2:] == [FIRST.name]


def test_the_command_fails_where_a_claim_did(made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    let_fail(monkeypatch, made, ValueError("no such column"))
    monkeypatch.setattr("sys.argv", ["make", FIRST.name, SECOND.name])

    with pytest.raises(SystemExit, match=f"{FIRST.name} failed, as said above"):
        making.main()


def test_pages_are_written_alone(made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["make", "--pages"])

    making.main()

    assert made == ["pages"]


def test_what_is_no_claim_is_told(
    made: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["make", "11_more"])

    with pytest.raises(SystemExit):
        making.main()

    assert "11_more is none of 01_more_layers, " in capsys.readouterr().err
    assert made == []


def test_a_block_that_is_not_installed_is_missed_before_hours_of_training(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    needy = CLAIMS["01_more_layers"]
    shutil.copytree(needy.folder, tmp_path / needy.name)
    study = tmp_path / needy.name / "dropout.yaml"
    study.write_text(study.read_text().replace("[plain-dropout]", "[plain-nothing]"))
    monkeypatch.setattr(claims, "HERE", tmp_path)
    monkeypatch.setattr(making, "make", lambda *_, **__: pytest.fail("ran"))

    with pytest.raises(InputError, match="Install it first"):
        making.make_all([needy])
