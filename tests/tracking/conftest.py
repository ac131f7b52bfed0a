import shutil

import pytest


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A SQLite store that has been migrated once for all tests."""
    from mlflow.tracking import MlflowClient

    from archsearch.tracking import store

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with store._alone(f"sqlite:///{path}"):
        MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def uri(empty_store, tmp_path):
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs" / "depth"
