"""What tests of several packages use."""

from multiprocessing import forkserver

import pytest


@pytest.fixture(scope="module")
def own_fork_server():
    """One that imports what this module's processes need, whoever has started one before; nor is it left."""
    forkserver._forkserver._stop()
    yield
    forkserver._forkserver._stop()
