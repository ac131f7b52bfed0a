"""MLflow as people run it for several: a server over HTTP with PostgreSQL behind it."""

import uuid

import pytest

from archsearch.tracking import sync
from tests.services import MLFLOW
from tests.tracking.store_content import read_content
from tests.tracking.studies import Study, steps_of_a_varied_study


@pytest.mark.slow
def test_a_server_holds_what_a_file_holds(services, folder, uri, capfd):
    uid = uuid.uuid4().hex
    for _ in steps_of_a_varied_study(Study(folder, uid=uid)):
        pass
    sync(folder, uri)
    first = sync(folder, services[MLFLOW])
    content = read_content(services[MLFLOW], uid)
    again = sync(folder, services[MLFLOW])

    assert content == read_content(uri, uid)
    assert read_content(services[MLFLOW], uid) == content
    assert (first.experiment_id, first.runs) == (again.experiment_id, again.runs)
    assert capfd.readouterr() == ("", "")
