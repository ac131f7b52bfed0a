"""How far MLflow is behind a journal, and how long it takes to catch up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from archsearch.journal import RunFolder
from archsearch.tracking import MirrorProcess

_LONGEST_S = 6 * 3600.0
# One run is the study's own.
_OF_THE_STUDY = 1


def bring_up(folder: RunFolder, uri: str) -> float:
    """Mirror a journal until MLflow holds all of it; returns the seconds, start of the process included."""
    before = time.perf_counter()
    mirror = MirrorProcess(folder.path, uri)
    mirror.start()
    mirror.begin()
    status = mirror.close(_LONGEST_S)
    assert status.state == "done", f"{status.state}: {status.error}"
    return time.perf_counter() - before


def run_beside(folder: RunFolder, uri: str, study: str, run: Callable[[], object]) -> dict[str, Any]:
    """Run a study with a mirror beside it, as archsearch does, one that has read the journal already.

    Args:
        folder: Its run folder, with a journal.
        uri: MLflow tracking URI.
        study: Name of its experiment.
        run: Runs it.

    Returns:
        ``trials_behind``: trials that had no run in MLflow when the study was over, by what the mirror had
        said last, after its latest batch; ``lag_s``: the seconds from then until it held everything, the end
        of its process included.
    """
    mirror = MirrorProcess(folder.path, uri)
    mirror.start()
    mirror.begin()
    while not mirror.status.experiment_id:
        time.sleep(0.05)
    run()
    # Whatever is looked up before the mirror has been told to end gives it time to catch up.
    over, held = time.perf_counter(), mirror.status.runs - _OF_THE_STUDY
    status = mirror.close(_LONGEST_S)
    lag_s = time.perf_counter() - over
    ended = sum(trial.outcome is not None for trial in folder.history().trials.values())
    assert status.state == "done", f"{status.state}: {status.error}"
    assert count_ended(uri, study) == ended, "MLflow lacks trials"
    return {"trials_behind": ended - held, "lag_s": lag_s}


def count_ended(uri: str, study: str) -> int:
    """Trials of a study whose run has ended in MLflow."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(study)
    if experiment is None:
        return 0
    query = "tags.`archsearch.kind` = 'trial' and attributes.status != 'RUNNING'"
    count, token = 0, None
    while True:
        page = client.search_runs([experiment.experiment_id], query, max_results=5000, page_token=token)
        count, token = count + len(page), page.token
        if not token:
            return count
