"""A server between MLflow's client and MLflow's server, which passes on what is said, or does not."""

from __future__ import annotations

import http.client
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Between:
    """Context manager that runs it.

    Args:
        port: Of the real server, on 127.0.0.1.
        share: Of the requests that are met by `fault`.
        fault: ``late`` has the request carried out at once and answered after `late_s`; ``slow`` waits that
            long before it passes it on; ``errors`` answers by itself, in one of many ways to fail.
        late_s: How long.

    Attributes:
        met: Requests that met the fault so far.
    """

    def __init__(self, port: int, *, share: float, fault: str, late_s: float = 0.0) -> None:
        self.met = 0
        self._port, self._share, self._fault, self._late_s = port, share, fault, late_s
        self._generator, self._lock = random.Random(20151210), threading.Lock()

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                outer._answer(self)

            do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _pass_on  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                # The client did not wait for its answer, as is meant.
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def heal(self) -> None:
        """Pass everything on from now on."""
        self._share = 0.0

    def _meets_fault(self) -> bool:
        with self._lock:
            meets = self._generator.random() < self._share
            self.met += meets
            return meets

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        meets = self._meets_fault()
        if meets and self._fault == "errors":
            self._fail(handler)
            return
        if meets and self._fault == "slow":
            time.sleep(self._late_s)
        upstream = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = {name: value for name, value in handler.headers.items() if name.lower() != "connection"}
        upstream.request(handler.command, handler.path, body, headers)
        response = upstream.getresponse()
        content = response.read()
        if meets and self._fault == "late":
            time.sleep(self._late_s)
        handler.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)
        upstream.close()

    def _fail(self, handler: BaseHTTPRequestHandler) -> None:
        how = self.met % 5
        if how == 0:
            # The connection is cut without a word.
            handler.close_connection = True
            handler.connection.close()
            return
        status, content, more = {
            1: (500, b"Internal Server Error", {}),
            2: (503, b"", {"Retry-After": "600"}),
            3: (200, b"<html>A login page, and no JSON</html>", {"Content-Type": "text/html"}),
            4: (429, b'{"error_code": "RESOURCE_EXHAUSTED"}', {"Retry-After": "600"}),
        }[how]
        handler.send_response(status)
        for name, value in {**more, "Content-Length": str(len(content))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)
