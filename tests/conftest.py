"""What tests of several packages use."""

from multiprocessing import forkserver

import pytest


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A SQLite store of MLflow, whose tables take seconds to make, made once for all tests."""
    from mlflow.tracking import MlflowClient

    from archsearch.tracking import store

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with store._alone(f"sqlite:///{path}"):
        MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="module")
def own_fork_server():
    """One that imports what this module's processes need, whoever has started one before; nor is it left."""
    forkserver._forkserver._stop()
    yield
    forkserver._forkserver._stop()
