"""What tests of several packages use."""

import os
from multiprocessing import forkserver

import pytest

from tests import services as test_services


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A SQLite store of MLflow, whose tables take seconds to make, made once for all tests."""
    from mlflow.tracking import MlflowClient

    from archsearch.tracking import store

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with store._alone(f"sqlite:///{path}"):
        MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="session")
def services():
    """Addresses of real services, by variable: those of the environment, else started for these tests."""
    names = (test_services.MLFLOW, test_services.POSTGRESQL, test_services.OPTUNA_PROXY)
    if all(name in os.environ for name in names):
        yield {name: os.environ[name] for name in names}
        return
    if reason := test_services.missing():
        pytest.skip(reason)
    with test_services.run_services() as addresses:
        yield addresses


@pytest.fixture(scope="module")
def own_fork_server():
    """One that imports what this module's processes need, whoever has started one before; nor is it left."""
    forkserver._forkserver._stop()
    yield
    forkserver._forkserver._stop()
