"""Where MLflow is, and what may be shown of it."""

import subprocess
import sys

import pytest

from archsearch.tracking import hide_passwords, resolve_uri
from archsearch.tracking.address import page_address


def test_the_settings_come_first_then_the_environment_then_a_file_here(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://from-environment")
    assert resolve_uri("http://from-settings") == "http://from-settings"
    assert resolve_uri() == "http://from-environment"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert resolve_uri() == "sqlite:///mlflow.db"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql+psycopg://me:p@ss/w@host:5432/db", "postgresql+psycopg://me:***@host:5432/db"),
        ("http://me:secret@host", "http://me:***@host"),
        ("cannot reach http://a:b@c or http://d:e@f.", "cannot reach http://a:***@c or http://d:***@f."),
        ("http://:token@host", "http://:***@host"),
        ("http://host:5000/path", "http://host:5000/path"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
    ],
)
def test_passwords_are_never_shown(text, shown):
    assert hide_passwords(text) == shown


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("http://me:s3cr3t@host:5000/mlflow", "http://host:5000/mlflow"),
        ("https://me:s3/cr3t@host", "https://host"),
        ("https://me@host", "https://host"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_a_browser_is_sent_to_a_server_without_the_login(uri, address):
    assert page_address(uri) == address


def test_the_package_is_imported_without_mlflow():
    script = "import sys, archsearch.tracking; sys.exit('mlflow' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
