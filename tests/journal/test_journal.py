"""The journal on disk: whole records, in order, whatever happens to the process that writes."""

import errno
import itertools
import math
import os
import signal
import subprocess
import sys
import time

import pytest

from archsearch.errors import JournalError, RunFolderError
from archsearch.journal import Journal, JournalReader, Record, RunFolder, read_journal


def write(path, *kinds):
    with Journal.open(path) as journal:
        return [journal.append(kind, note=kind) for kind in kinds]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs" / "study" / "journal.log"


def test_what_was_appended_is_read_back(path):
    written = write(path, "study", "session", "finished")

    assert read_journal(path) == written
    assert [record.number for record in written] == [1, 2, 3]
    assert written[0].fields == {"version": 1, "note": "study"}


def test_an_opened_journal_goes_on_where_it_ended(path):
    write(path, "study")
    with Journal.open(path) as journal:
        assert [record.kind for record in journal.records] == ["study"]
        journal.append("session")

    assert [(record.number, record.kind) for record in read_journal(path)] == [(1, "study"), (2, "session")]


def test_append_returns_the_record_as_a_reader_sees_it(path):
    with Journal.open(path) as journal:
        record = journal.append("trial", seeds=(1, 2), by_seed={3: "three"}, text="ü\n\ud800")

    assert read_journal(path) == [record]
    assert record.fields["seeds"] == [1, 2]
    assert record.fields["by_seed"] == {"3": "three"}
    assert record.fields["text"] == "ü\n\ud800"


def test_numbers_that_json_lacks_survive(path):
    with Journal.open(path) as journal:
        journal.append("epoch", metrics={"a": math.nan, "b": math.inf, "c": [-math.inf, 0.1]})

    metrics = read_journal(path)[0].fields["metrics"]
    assert math.isnan(metrics["a"])
    assert metrics["b"] == math.inf
    assert metrics["c"] == [-math.inf, 0.1]


def test_time_never_runs_backwards(path):
    clock = iter([100.0, 50.0, 101.0])
    with Journal.open(path, clock=lambda: next(clock)) as journal:
        times = [journal.append("epoch").time for _ in range(3)]

    assert times == [100.0, 100.0, 101.0]


def test_a_clock_that_is_set_back_stops_no_time(path, monkeypatch):
    with Journal.open(path) as journal:
        journal.append("study")
        real = time.time()
        monkeypatch.setattr(time, "time", lambda: real - 3600)
        time.sleep(0.05)
        session = journal.append("session")
    with Journal.open(path) as journal:
        time.sleep(0.05)
        epoch = journal.append("epoch")
        assert journal.now() >= epoch.time

    times = [record.time for record in read_journal(path)]
    assert times == [pytest.approx(real, abs=1), session.time, epoch.time]
    assert all(0.05 <= after - before < 1 for before, after in itertools.pairwise(times))


def test_records_written_together_are_read_one_by_one(path):
    with Journal.open(path) as journal:
        journal.append("study")
        written = journal.append_all("epoch", [{"epoch": 0}, {"epoch": 1}, {"epoch": math.nan}])
        journal.append("told")

    records = read_journal(path)
    assert [record.number for record in records] == [1, 2, 3, 4, 5]
    assert records[1:3] == written[:2]
    assert math.isnan(records[3].fields["epoch"])


def test_of_records_written_together_a_crash_leaves_all_or_none(path):
    with Journal.open(path) as journal:
        journal.append("study")
        journal.append_all("epoch", [{"epoch": number} for number in range(3)])
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert len(read_journal(path)) in (0, 1)


def test_records_written_together_wait_for_the_disk_once(path, monkeypatch):
    synced = []
    with Journal.open(path) as journal:
        monkeypatch.setattr(os, "fsync", synced.append)
        journal.append_all("epoch", [{"epoch": 0}, {"epoch": 1}])
    assert len(synced) == 1


def test_damage_after_records_written_together_names_its_line(path):
    with Journal.open(path) as journal:
        journal.append_all("epoch", [{"epoch": 0}, {"epoch": 1}])
        journal.append("session")
        journal.append("compute")
    path.write_bytes(path.read_bytes().replace(b"session", b"sessiom"))

    with pytest.raises(JournalError, match=r"journal\.log:2: .*head -n 1 journal\.log"):
        read_journal(path)


@pytest.mark.parametrize("cut", [1, 2, 9, 20])
def test_a_torn_last_line_is_cut_off_and_reported(path, cut):
    write(path, "study", "session", "compute")
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])

    with Journal.open(path) as journal:
        assert [record.kind for record in journal.records] == ["study", "session"]
        assert f"{path}:3: the last line was torn" in journal.healed
        journal.append("compute")

    assert [record.kind for record in read_journal(path)] == ["study", "session", "compute"]


def test_every_length_a_crash_can_leave_is_readable(path):
    write(path, "study", "session", "compute")
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        assert len(read_journal(path)) == whole[:size].count(b"\n")


def test_a_last_line_of_zeros_is_torn(path):
    write(path, "study")
    with path.open("ab") as file:
        file.write(bytes(50) + b"\n")

    with Journal.open(path) as journal:
        assert len(journal.records) == 1
        assert "51 bytes were removed" in journal.healed


def test_an_unharmed_journal_reports_nothing(path):
    write(path, "study")
    with Journal.open(path) as journal:
        assert journal.healed == ""


def test_damage_in_the_middle_names_the_line_and_the_way_out(path):
    write(path, "study", "session", "compute")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1].replace(b"session", b"sessiom") + lines[2])

    with pytest.raises(JournalError, match=r"journal\.log:2: .*checksum.*head -n 1 journal\.log"):
        Journal.open(path)
    with pytest.raises(JournalError, match=r"journal\.log:2"):
        read_journal(path)


def test_a_missing_line_is_damage(path):
    write(path, "study", "session", "compute")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])

    with pytest.raises(JournalError, match=r"journal\.log:2: record 2 was expected here, not 3"):
        read_journal(path)


def test_a_journal_of_another_version_is_refused(path):
    with Journal.open(path) as journal:
        journal.append("study", version=7)

    with pytest.raises(JournalError, match=r"is of version 7, and this archsearch reads version 1"):
        Journal.open(path)


def test_a_missing_journal_says_what_to_do(tmp_path):
    with pytest.raises(RunFolderError, match=r"must hold a journal.*run the study first"):
        read_journal(tmp_path / "journal.log")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.EROFS, "mounted read-only"),
        (errno.EACCES, "Make the folder writable"),
        (errno.ENOSPC, "Free some"),
    ],
)
def test_a_folder_that_cannot_be_written_is_one_paragraph(path, monkeypatch, code, said):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(RunFolderError, match=f"must be writable.*{said}") as caught:
        Journal.open(path)
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_no_half_line(path, monkeypatch):
    journal = Journal.open(path)
    journal.append("study")
    real_write = os.write

    def write_a_little(descriptor, data):
        if len(data) > 10:
            return real_write(descriptor, data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", write_a_little)
    with pytest.raises(RunFolderError, match=r"No space left on device.*goes on where it stopped"):
        journal.append("session", note="x" * 15)
    monkeypatch.undo()

    assert journal.append("session").number == 2
    journal.close()
    assert [record.kind for record in read_journal(path)] == ["study", "session"]


def test_a_killed_writer_loses_nothing_that_append_returned(path):
    script = (
        "import sys; from archsearch.journal import Journal\n"
        "journal = Journal.open(sys.argv[1])\n"
        "while True: print(journal.append('epoch', metrics={'a': 0.5}).number, flush=True)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    with process:
        for line in process.stdout:
            if int(line) >= 200:
                process.send_signal(signal.SIGKILL)
                break
        rest = process.stdout.read().split()
    acknowledged = int(rest[-1]) if rest else 200

    assert len(read_journal(path)) >= acknowledged


class TestReader:
    def test_returns_each_record_once(self, path):
        reader = JournalReader(path)
        assert reader.poll() == []
        with Journal.open(path) as journal:
            first = journal.append("study")
            assert reader.poll() == [first]
            assert reader.poll() == []
            rest = [journal.append("session"), journal.append("compute")]
            assert reader.poll() == rest

    def test_waits_for_the_second_half_of_a_record(self, path):
        write(path, "study", "session")
        whole = path.read_bytes()
        reader = JournalReader(path)
        seen: list[Record] = []
        for size in range(0, len(whole) + 1, 7):
            path.write_bytes(whole[:size])
            seen += reader.poll()
        path.write_bytes(whole)
        seen += reader.poll()

        assert seen == read_journal(path)

    def test_is_not_confused_by_healing(self, path):
        write(path, "study", "session")
        whole = path.read_bytes()
        reader = JournalReader(path)
        path.write_bytes(whole[:-5])
        assert [record.kind for record in reader.poll()] == ["study"]
        write(path, "compute")

        assert [record.kind for record in reader.poll()] == ["compute"]

    def test_refuses_a_journal_that_became_shorter(self, path):
        write(path, "study", "session")
        reader = JournalReader(path)
        reader.poll()
        path.write_bytes(path.read_bytes()[:20])

        with pytest.raises(JournalError, match="became shorter"):
            reader.poll()


@pytest.mark.parametrize(
    ("reason", "fix"),
    [
        ("SafetensorError: I/O error: No space left on device (os error 28)\nTraceback", "Free some space"),
        ("OSError: [Errno 30] Read-only file system: 'weights'", "mounted read-only"),
    ],
)
def test_a_training_that_failed_for_the_disks_sake_stops_the_study(tmp_path, reason, fix):
    with pytest.raises(RunFolderError, match=fix):
        RunFolder(tmp_path).check_failure(reason)
    RunFolder(tmp_path).check_failure("ValueError: a block of a plugin is wrong")
    RunFolder(tmp_path).check_failure("")
