"""The append-only record of a study, from which everything else can be rebuilt."""

from archsearch.journal.folder import CONCLUSION_NAME, STUDY_FILES, RunFolder
from archsearch.journal.history import ReplicateHistory, SessionHistory, StudyHistory, TrialHistory
from archsearch.journal.locking import Holder, RunFolderLock, find_holder
from archsearch.journal.reading import JOURNAL_NAME, JournalReader, read_journal
from archsearch.journal.records import VERSION, Record
from archsearch.journal.replaying import BETWEEN_SESSIONS, SESSION_ENDS, Replay, replay
from archsearch.journal.writing import Journal

__all__ = [
    "BETWEEN_SESSIONS",
    "CONCLUSION_NAME",
    "JOURNAL_NAME",
    "SESSION_ENDS",
    "STUDY_FILES",
    "VERSION",
    "Holder",
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
    "find_holder",
    "read_journal",
    "replay",
]
