"""How far a study is, and how long it will still take, from its journal's records as they are written."""

from archsearch.application.progress.following import Follower, Forecast, Snapshot
from archsearch.application.progress.trainings import Row

__all__ = ["Follower", "Forecast", "Row", "Snapshot"]
