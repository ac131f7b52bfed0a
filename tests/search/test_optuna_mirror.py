"""The copy of finished trials in an Optuna storage of the user's."""

from __future__ import annotations

import io
import logging
import pickle
import time
from pathlib import Path

import optuna
import pytest

from archsearch.search import optuna_copying
from archsearch.search.optuna_copying import Copies, Finished, Target, copy_all
from archsearch.search.optuna_mirror import OptunaMirror


def finished(number: int) -> Finished:
    trial = optuna.trial.create_trial(value=number / 10, intermediate_values={1: 0.5})
    return Finished("block=plain", number, trial)


def stream(url: str, count: int) -> bytes:
    items = [Target(url, "study", ("minimize",)), *map(finished, range(count))]
    return b"".join(map(pickle.dumps, items))


def copied(url: str) -> list[tuple[int, float | None]]:
    trials = optuna.load_study(study_name="study/block=plain", storage=url).trials
    return [(trial.user_attrs["archsearch.trial"], trial.value) for trial in trials]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/optuna.db"


def test_each_trial_is_copied_once_however_often_it_is_given(url: str) -> None:
    copy_all(io.BytesIO(stream(url, 2)))
    copy_all(io.BytesIO(stream(url, 3)))
    assert copied(url) == [(0, 0.0), (1, 0.1), (2, 0.2)]


def test_what_a_killed_conductor_had_handed_over_is_copied(url: str) -> None:
    copy_all(io.BytesIO(stream(url, 3)[:-20]))
    assert copied(url) == [(0, 0.0), (1, 0.1)]


def test_what_a_storage_missed_is_added_when_it_answers_again(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls, add = [], Copies.add

    def refuse_at_first(copies: Copies, item: Finished) -> None:
        calls.append(item.number)
        if len(calls) < 5:
            raise ConnectionError
        add(copies, item)

    monkeypatch.setattr(Copies, "add", refuse_at_first)
    monkeypatch.setattr(optuna_copying, "_RETRY_S", 0)
    copy_all(io.BytesIO(stream(url, 3)))
    assert copied(url) == [(0, 0.0), (1, 0.1), (2, 0.2)]
    assert capsys.readouterr().out.split() == ["ConnectionError"] * 4 + ["1", "2", "3"]


def test_a_storage_that_never_answers_is_given_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(optuna_copying, "_RETRY_S", 0)
    copy_all(io.BytesIO(stream("sqlite:////nowhere/optuna.db", 1)), patience_s=0.05)
    assert set(capsys.readouterr().out.split()) == {"OperationalError"}


def test_the_conductor_is_told_and_not_held_up(caplog: pytest.LogCaptureFixture) -> None:
    mirror = OptunaMirror("sqlite:////nowhere/optuna.db", "study", ("minimize",))
    with caplog.at_level(logging.WARNING, "archsearch"):
        for number in range(3):
            mirror.add("block=plain", number, finished(number).trial)
        # How long its process takes to start is the machine's business.
        while not caplog.messages:
            time.sleep(0.05)
        mirror.close(longest_silence_s=0.5)
    assert "cannot be written (OperationalError)" in caplog.messages[0]
    assert "lacks 3 finished trials" in caplog.messages[1]


def test_closing_waits_for_the_copy(url: str) -> None:
    mirror = OptunaMirror(url, "study", ("minimize",))
    for number in range(5):
        mirror.add("block=plain", number, finished(number).trial)
    mirror.close()
    assert len(copied(url)) == 5
    mirror.add("block=plain", 5, finished(5).trial)
    mirror.close()
    assert len(copied(url)) == 6
