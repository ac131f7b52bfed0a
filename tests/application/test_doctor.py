"""What the doctor finds on a machine and in a study, each fault made for real."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock
from packaging.requirements import Requirement

from archsearch.application.doctor import Check, examine_machine, machine, run_folder, services, software
from archsearch.application.doctor.examining import CHECKS
from archsearch.application.doctor.places import try_files
from archsearch.journal import Journal, RunFolder
from tests.application.conftest import RunStudy
from tests.command_line import call

pytestmark = pytest.mark.slow

KINDS = ("session", "started", "compute")


def examine(check: object, study: object, folder: Path) -> Check:
    (found,) = examine_machine(str(study), runs_folder=folder, checks=[check]).checks
    return found


@pytest.fixture
def copy(swept: RunStudy, tmp_path: Path) -> RunFolder:
    """A run folder that may be damaged."""
    shutil.copytree(swept.run_folder.path, tmp_path / "swept")
    return RunFolder(tmp_path / "swept")


@pytest.mark.slow
def test_a_healthy_machine_and_study_have_nothing_broken(swept: RunStudy) -> None:
    answer = swept.call("doctor", "swept", "--json")

    checks = {check["name"]: check for check in answer.json["checks"]}
    assert answer.code == 0, [check for check in checks.values() if check["state"] == "broken"]
    assert {"python", "torch", "files", "worker", "MLflow", "data", "journal", "lock"} <= set(checks)
    assert checks["MLflow"] == {
        "name": "MLflow",
        "state": "ok",
        "found": "sqlite:///mlflow.db answers",
        "mend": "",
    }
    assert checks["journal"]["state"] == checks["data"]["state"] == checks["worker"]["state"] == "ok"
    assert all(check["mend"] for check in checks.values() if check["state"] != "ok")


def test_a_damaged_line_is_named_and_ends_with_exit_code_1(
    copy: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = copy.journal.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b"1", b"2", 1)
    copy.journal.write_bytes(b"".join(lines))
    only = partial(examine_machine, checks=[run_folder.examine_journal])
    monkeypatch.setattr("archsearch.application.doctor.examine_machine", only)

    answer = call("doctor", "swept", "--runs-dir", copy.path.parent, cwd=copy.path)

    assert answer.code == 1
    assert "Restore it from a copy" in answer.out
    found = examine(run_folder.examine_journal, "swept", copy.path.parent)
    assert found.state == "broken"
    assert "journal.log:5: the record does not match its checksum" in found.found
    assert found.mend.startswith("Restore it from a copy; or keep the 4 lines before it")


def test_a_torn_end_is_no_more_than_a_warning(copy: RunFolder) -> None:
    lines = len(copy.journal.read_bytes().splitlines())
    with copy.journal.open("ab") as file:
        file.write(b"12345678 {")

    found = examine(run_folder.examine_journal, copy.path, copy.path.parent)

    assert found.state == "warning"
    assert found.found.endswith(f"journal.log:{lines + 1}: the last line is torn (10 bytes)")


def test_other_data_are_broken(copy: RunFolder) -> None:
    assert examine(run_folder.examine_data, copy.path, copy.path.parent).state == "ok"
    copy.study.write_text(copy.study.read_text().replace("train_limit: 256", "train_limit: 255"))

    found = examine(run_folder.examine_data, copy.path, copy.path.parent)

    assert (found.state, found.found) == ("broken", "digits is not what the study began with")


def test_a_lock_tells_who_holds_it_and_who_died_with_it(copy: RunFolder) -> None:
    holder = {"pid": 4711, "host": "h", "since": "2026-01-01"}
    (copy.path / "holder.json").write_text(json.dumps(holder))
    with FileLock(copy.path / ".lock"):
        held = examine(run_folder.examine_lock, copy.path, copy.path.parent)
    stale = examine(run_folder.examine_lock, copy.path, copy.path.parent)

    assert (held.state, held.found) == ("ok", "held by process 4711 on h since 2026-01-01: the study runs")
    assert (stale.state, stale.found) == (
        "warning",
        "free; process 4711 on h since 2026-01-01 held it and died",
    )


def test_half_written_files_are_named(copy: RunFolder) -> None:
    assert examine(run_folder.examine_leftovers, copy.path, copy.path.parent).state == "ok"
    (copy.path / "weights" / "trial-0000-seed-0.safetensors.1.part").write_bytes(b"half")

    found = examine(run_folder.examine_leftovers, copy.path, copy.path.parent)

    assert found.state == "warning"
    assert "1 files that nothing needs" in found.found


def test_a_study_that_began_on_another_device_or_under_other_versions(copy: RunFolder) -> None:
    assert examine(run_folder.examine_conditions, copy.path, copy.path.parent).state == "ok"
    with Journal.open(copy.journal) as journal:
        fields = {kind: next(r.fields for r in journal.records if r.kind == kind) for kind in KINDS}
        journal.append("session", **{**fields["session"], "device_name": "Processor Z"})
        journal.append("started", **{**fields["started"], "attempt": 2})
        elsewhere = examine(run_folder.examine_conditions, copy.path, copy.path.parent)
        journal.append("compute", **{**fields["compute"], "device": "mps"})
    nowhere = examine(run_folder.examine_conditions, copy.path, copy.path.parent)

    assert elsewhere.state == "warning"
    assert "device Processor Z, now" in elsewhere.found
    assert (nowhere.state, nowhere.found) == (
        "broken",
        "the study began on mps, which this machine does not have",
    )


def store_of(text: str, folder: Path) -> Path:
    (folder / "s.yaml").write_text(f"name: s\n{text}\n")
    return folder / "s.yaml"


@pytest.mark.slow
def test_a_store_of_another_schema_is_broken_and_left_as_it_is(tmp_path: Path, empty_store: Path) -> None:
    path = tmp_path / "old.db"
    shutil.copy(empty_store, path)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = '0123456789ab'")
    database.close()
    before = path.read_bytes()
    study = store_of(f"tracking: {{uri: 'sqlite:///{path}'}}", tmp_path)

    found = examine(services.examine_mlflow, study, tmp_path)

    assert found.state == "broken"
    assert "its schema is of version 0123456789ab" in found.found
    assert found.mend.endswith(f"mlflow db upgrade sqlite:///{path}")
    assert path.read_bytes() == before


def test_a_store_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    study = store_of("tracking: {uri: sqlite:///new.db, optuna: sqlite:///other.db}", tmp_path)

    for check in (services.examine_mlflow, services.examine_optuna):
        assert examine(check, study, tmp_path).state == "ok"
    assert not (tmp_path / "new.db").exists()


def test_a_server_that_takes_connections_and_says_nothing_is_given_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(services, "ask_apart", partial(services.ask_apart, timeout_s=0.5))
        study = store_of(f"tracking: {{uri: 'http://someone:secret@127.0.0.1:{port}'}}", tmp_path)

        found = examine(services.examine_mlflow, study, tmp_path)

    assert (found.state, "no answer within" in found.found) == ("broken", True)
    assert "secret" not in str(found)


@pytest.mark.slow
def test_an_optuna_storage_that_cannot_be_opened_is_broken(tmp_path: Path) -> None:
    (tmp_path / "no.db").write_bytes(b"this is no database, whatever its name may say" * 30)
    study = store_of(f"tracking: {{optuna: 'sqlite:///{tmp_path / 'no.db'}'}}", tmp_path)

    found = examine(services.examine_optuna, study, tmp_path)

    assert found.state == "broken"
    assert "DatabaseError" in found.found


def test_a_library_outside_its_range_is_named_with_what_mends_it() -> None:
    needed = [Requirement("click>=8.2"), Requirement("psutil<2"), Requirement("no-such-package>=1")]

    found = software.judge_libraries("libraries", needed)

    assert found.state == "broken"
    assert "psutil 7" in found.found
    assert "no-such-package missing" in found.found
    assert "click" not in found.found
    assert found.mend == "pip install 'psutil<2' 'no-such-package>=1'"


def test_files_on_this_disk_are_locked_and_replaced(tmp_path: Path) -> None:
    assert try_files(tmp_path) == ""


def test_more_workers_than_cores_and_nonsense_in_variables_are_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "count_cores", lambda: 2)
    study = store_of("execution: {workers: 64}", tmp_path)
    assert examine(machine.examine_threads, study, tmp_path).found.endswith("64 workers on 2 cores")
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert examine(machine.examine_threads, study, tmp_path).mend.startswith("Unset OMP_NUM_THREADS")


def test_a_device_that_is_not_here_is_broken(tmp_path: Path) -> None:
    study = store_of("execution: {device: mps}", tmp_path)

    assert examine(machine.examine_devices, study, tmp_path).state == "broken"


def test_a_study_file_with_a_mistake_is_broken_at_its_line(tmp_path: Path) -> None:
    study = store_of("architecture: {depth: 21}", tmp_path)

    found = examine(run_folder.examine_study, study, tmp_path)

    assert found.state == "broken"
    assert "s.yaml:2: architecture.depth" in found.found


def test_every_check_says_something_of_a_machine_without_a_study(tmp_path: Path) -> None:
    quick = [check for check in CHECKS if check.__name__ not in ("examine_worker", "examine_mlflow")]

    checks = examine_machine(runs_folder=tmp_path / "runs", checks=quick).checks

    assert {"python", "libraries", "processor", "memory", "disk", "clock", "files"} <= {
        c.name for c in checks
    }
    assert not (tmp_path / "runs").exists()
