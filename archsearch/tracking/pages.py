"""MLflow's server, with pages that load all runs of a study: ``mlflow server --app-name archsearch``.

MLflow's page asks for 100 runs at a time and draws only those; the rest waits behind a button. No setting of
the page, and nothing in a saved view, changes that. Here it is answered with as many as MLflow gives anybody
who names no number. Everything else, and every other client, is MLflow's own.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Message, _Receive, _Send], Awaitable[None]]

# What the web interface alone asks, and how.
_SEARCH = "/ajax-api/2.0/mlflow/runs/search"
_ASKED, _GIVEN = 100, 1000


class WholeStudies:
    """An ASGI application around MLflow's."""

    def __init__(self, load: Callable[[], _App]) -> None:
        # Loaded when it is first called: `mlflow server` imports this module only to pass it on by name.
        self._load = functools.cache(load)

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["path"].endswith(_SEARCH):
            body = widen(await _read(receive))
            # The server checks the length against the body that it reads.
            kept = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
            scope = {**scope, "headers": [*kept, (b"content-length", str(len(body)).encode())]}
            receive = _replay(body, receive)
        await self._load()(scope, receive, send)


def widen(body: bytes) -> bytes:
    """Return a search for runs that asks for more of them, where it is the page's; any other as it is."""
    try:
        asked = json.loads(body)
    except ValueError:
        return body
    if not isinstance(asked, dict) or asked.get("max_results") != _ASKED:
        return body
    return json.dumps({**asked, "max_results": _GIVEN}).encode()


async def _read(receive: _Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: _Receive) -> _Receive:
    pending = [body]

    async def receive_again() -> _Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return receive_again


def _mlflow() -> _App:
    from mlflow.server.fastapi_app import app

    return cast(_App, app)


app = WholeStudies(_mlflow)
