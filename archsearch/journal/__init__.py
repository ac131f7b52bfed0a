"""The append-only record of a study, from which everything else can be rebuilt."""

from archsearch.journal.folder import CONCLUSION_NAME, RunFolder
from archsearch.journal.history import ReplicateHistory, SessionHistory, StudyHistory, TrialHistory
from archsearch.journal.locking import RunFolderLock
from archsearch.journal.reading import JOURNAL_NAME, JournalReader, read_journal
from archsearch.journal.records import VERSION, Record
from archsearch.journal.replaying import Replay, replay
from archsearch.journal.writing import Journal

__all__ = [
    "CONCLUSION_NAME",
    "JOURNAL_NAME",
    "VERSION",
    "Journal",
    "JournalReader",
    "Record",
    "Replay",
    "ReplicateHistory",
    "RunFolder",
    "RunFolderLock",
    "SessionHistory",
    "StudyHistory",
    "TrialHistory",
    "read_journal",
    "replay",
]
