"""MLflow's server and PostgreSQL failing: nothing waits for them, and everything arrives, once."""

from __future__ import annotations

import random
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from archsearch.tracking import sync
from tests import services
from tests.faults.between import Between
from tests.faults.fault import Fault, Finding
from tests.faults.killing import searching
from tests.faults.workshop import Study, Workshop
from tests.starting import Command

_SEED = 20151210
_LONGEST_OUTAGE_S = 1.5
# of the time that the same study takes undisturbed
_LONGEST_SHARE = 1.05
# What a client waits for an answer, where answers come too late: the usual time would make it a long test.
_IMPATIENT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "2"}


def training(trainings: int, epochs: int) -> str:
    """Trainings one after the other; under one seed, for whether several are packed is measured anew."""
    return f"""
name: faulty
data: {{name: digits, train_limit: 128}}
architecture: {{layout: mlp, width: 8, depth: 3}}
sweep:
  training.learning_rate: [{", ".join(str(round(0.01 * 1.1**number, 6)) for number in range(trainings))}]
training: {{epochs: {epochs}, batch_size: 64, precision: '32'}}
execution: {{executor: inline}}
"""


def start_while_it_is_down(shop: Workshop, place: Path, times: int) -> Finding:
    """Start so many studies at once, and the server after all have said that it is not there."""
    shop.server.kill()
    studies = [_begin(shop, place / str(number), training(4, 3), shop.server.uri) for number in range(times)]
    commands = [shop.starter.start("run", study.file, cwd=study.place) for study in studies]
    for command in commands:
        _wait_until(lambda command=command: "cannot be written" in command.said() or command.code is not None)
    shop.server.start()
    back, recoveries, lost = time.time(), list[float](), list[str]()
    for study, command in zip(studies, commands, strict=True):
        command.wait()
        _sync_if_given_up(study, command, shop.server.uri)
        recoveries.append(time.time() - back)
    for study, command in zip(studies, commands, strict=True):
        lost += _find_lost(shop, study, command, shop.server.uri)
    return Finding(times, tuple(lost), tuple(recoveries))


def kill_in_the_middle(shop: Workshop, place: Path, times: int) -> Finding:
    """Kill the server and start it again, in as many studies as it takes."""
    generator, killed, lost, recoveries = random.Random(_SEED), 0, list[str](), list[float]()
    shop.server.start()
    while killed < times:
        study = _begin(shop, place / str(killed), training(8, 80), shop.server.uri)
        command = shop.starter.start("run", study.file, cwd=study.place)
        _wait_until(lambda study=study: study.records("epoch"))
        while killed < times and command.code is None:
            time.sleep(generator.uniform(0, _LONGEST_OUTAGE_S))
            shop.server.kill()
            killed += 1
            shop.server.start()
        back = time.time()
        command.wait()
        _sync_if_given_up(study, command, shop.server.uri)
        recoveries.append(time.time() - back)
        lost += _find_lost(shop, study, command, shop.server.uri)
    return Finding(killed, tuple(lost), tuple(recoveries))


def answer_slowly(shop: Workshop, place: Path, times: int) -> Finding:
    """Hold back some answers for longer than the client waits, though the request was carried out."""
    return _disturb(shop, place, times, fault="late", share=0.2, late_s=3.0)


def answer_errors(shop: Workshop, place: Path, times: int) -> Finding:
    """Answer a third of the requests with errors."""
    return _disturb(shop, place, times, fault="errors", share=0.3)


def _disturb(
    shop: Workshop, place: Path, times: int, *, fault: str, share: float, late_s: float = 0.0
) -> Finding:
    met, lost, recoveries = 0, list[str](), list[float]()
    shop.server.start()
    while met < times:
        with Between(shop.server.port, share=share, fault=fault, late_s=late_s) as between:
            study = _begin(shop, place / str(met), training(6, 10), between.uri)
            command = shop.starter.start("run", study.file, cwd=study.place, environment=_IMPATIENT)
            _wait_until(lambda study=study, command=command: study.records("finished") or command.code)
            trained = time.time()
            command.wait()
            met += between.met
            between.heal()
            _sync_if_given_up(study, command, between.uri)
            recoveries.append(time.time() - trained)
            lost += _find_lost(shop, study, command, between.uri)
    return Finding(met, tuple(lost), tuple(recoveries))


def restart_postgresql(shop: Workshop, place: Path, times: int) -> Finding:
    """Restart the database behind MLflow's server and Optuna's copy, in as many studies as it takes."""
    generator, restarted, lost, recoveries = random.Random(_SEED), 0, list[str](), list[float]()
    shop.server.start()
    while restarted < times:
        optuna = shop.postgresql.create_database(f"optuna-{restarted}")
        folder = place / str(restarted)
        study = _begin(shop, folder, searching(1), shop.server.uri, f", optuna: '{optuna}'")
        command = shop.starter.start("run", study.file, cwd=study.place)
        while restarted < times and command.code is None:
            _wait_until(lambda study=study: study.records("told"))
            time.sleep(generator.uniform(0, _LONGEST_OUTAGE_S / 3))
            shop.postgresql.stop()
            time.sleep(generator.uniform(0, _LONGEST_OUTAGE_S / 3))
            shop.postgresql.start()
            restarted += 1
        back = time.time()
        command.wait()
        _sync_if_given_up(study, command, shop.server.uri)
        recoveries.append(time.time() - back)
        lost += _find_lost(shop, study, command, shop.server.uri)
        lost += _find_lost_in_optuna(study, optuna)
    return Finding(restarted, tuple(lost), tuple(recoveries))


def stop_for_half_of_a_study(shop: Workshop, place: Path, times: int) -> Finding:
    """Stop the server after a quarter of a study's trainings, and start it after three quarters.

    Each such study is timed against an undisturbed one, before and after it in turns.
    """
    lost, recoveries, shares = list[str](), list[float](), list[float]()
    text, trials = training(40, 120), 40
    shop.server.start()

    def run_calmly(number: int) -> float:
        study = _begin(shop, place / f"calm-{number}", text, shop.server.uri)
        return _trained_s(study, shop.run(study))

    def run_disturbed(number: int) -> float:
        study = _begin(shop, place / str(number), text, shop.server.uri)
        command = shop.starter.start("run", study.file, cwd=study.place)
        # seldom, for reading a journal takes time from the study, whose time is what is measured
        _wait_until(lambda: len(study.records("told")) >= trials / 4, every_s=2)
        shop.server.kill()
        _wait_until(lambda: len(study.records("told")) >= trials * 3 / 4, every_s=2)
        shop.server.start()
        back = time.time()
        command.wait()
        _sync_if_given_up(study, command, shop.server.uri)
        recoveries.append(time.time() - back)
        lost.extend(_find_lost(shop, study, command, shop.server.uri))
        return _trained_s(study, command)

    for number in range(times):
        if number % 2:
            disturbed_s = run_disturbed(number)
            shares.append(disturbed_s / run_calmly(number))
        else:
            calm_s = run_calmly(number)
            shares.append(run_disturbed(number) / calm_s)
    walls = ", ".join(f"{share:.3f}" for share in shares)
    note = f"wall time {walls} of the undisturbed, median {statistics.median(shares):.3f}"
    return Finding(times, (*lost, *find_slower(shares)), tuple(recoveries), note)


def find_slower(shares: Sequence[float]) -> Iterator[str]:
    """Say that studies took longer than they may, by what they took of the undisturbed ones' time.

    Four fifths of them must have: a busy machine makes one or two of five slower, and others faster.
    """
    if sum(share > _LONGEST_SHARE for share in shares) >= 0.8 * len(shares):
        yield f"wall time {statistics.median(shares):.3f} of the undisturbed instead of {_LONGEST_SHARE}"


def _trained_s(study: Study, command: Command) -> float:
    return study.records("finished")[-1].time - command.started


def _begin(shop: Workshop, place: Path, text: str, uri: str, more: str = "") -> Study:
    return shop.begin(place, text, tracking=f"tracking: {{uri: '{uri}'{more}}}\n")


def _find_lost(shop: Workshop, study: Study, command: Command, uri: str) -> Iterator[str]:
    """What a study, its terminal and MLflow lack."""
    said = command.said()
    if command.code:
        yield f"exit code {command.code}: {said}"
    # A restarted database is behind MLflow and Optuna's storage, each of which is told of.
    for store in (r"MLflow at \S+", "Optuna's storage"):
        if len(re.findall(f"{store} cannot be written", said)) > 1:
            yield f"the terminal says it more than once: {said}"
    yield from shop.find_lost(study, uri)


def _sync_if_given_up(study: Study, command: Command, uri: str) -> None:
    """Do as a command whose mirror has given up says."""
    if "is not up to date" in command.said():
        sync(study.folder.path, uri)


def _find_lost_in_optuna(study: Study, url: str) -> Iterator[str]:
    copied = services.read_trials(url, f"{study.name}/all")
    numbers = sorted(trial.user_attrs["archsearch.trial"] for trial in copied)
    searched = [n for n, trial in study.folder.history().trials.items() if trial.phase == "search"]
    if numbers != searched:
        yield f"Optuna's storage has the trials {numbers} instead of {searched}"


def _wait_until(condition, timeout_s: float = 120.0, every_s: float = 0.05) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(every_s)


FAULTS = (
    Fault(
        "MLflow server down at start",
        "studies are started with nothing at the server's address; the server is started later",
        "from the server's first answer until MLflow is complete, by `archsearch sync` at the latest",
        start_while_it_is_down,
        missing=services.missing,
        counted="studies, one outage",
    ),
    Fault(
        "MLflow server dies in the middle",
        "SIGKILL to the server and its workers, at a random moment of a study; it is started again",
        "from the server's last start in a study until MLflow is complete",
        kill_in_the_middle,
        missing=services.missing,
        counted="kills",
    ),
    Fault(
        "MLflow server slow",
        "a fifth of the answers arrives after the client has stopped waiting, though the server did what it "
        "was asked",
        "from the end of the study until MLflow is complete",
        answer_slowly,
        missing=services.missing,
        counted="answers",
    ),
    Fault(
        "MLflow server answers errors",
        "a third of the answers is 500, 429 or 503 with `Retry-After: 600`, a page of HTML, a cut line",
        "from the end of the study until MLflow is complete",
        answer_errors,
        missing=services.missing,
        counted="answers",
    ),
    Fault(
        "PostgreSQL restarted",
        "the database behind MLflow's server and Optuna's storage is stopped and started again, at a random "
        "moment of a study",
        "from its last start in a study until MLflow and Optuna are complete",
        restart_postgresql,
        missing=services.missing,
        counted="restarts",
    ),
)

HALF = Fault(
    "MLflow server stopped for half of a study",
    "SIGKILL to the server after a quarter of trials, started again after three quarters; each time beside "
    f"an undisturbed study, of whose wall time four in five may not take more than {_LONGEST_SHARE}",
    "from its start until MLflow is complete",
    stop_for_half_of_a_study,
    full=5,
    missing=services.missing,
    counted="pairs of studies",
)
"""Measures time, so not a part of what CI runs."""
