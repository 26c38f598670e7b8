"""A proxy between workers and S3 that fails as S3 does, and counts what it let through and what it broke."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["slow_down", "cut"]
SLOW_DOWN = (
    b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>'
)


class Proxy(ThreadingHTTPServer):
    """Forwards to ``upstream``; ``decide(number, method, path)`` names the fault of the request, or None."""

    daemon_threads = True

    def __init__(self, upstream: str, decide: Callable[[int, str, str], Fault | None]) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.upstream = urlsplit(upstream).netloc
        self.decide = decide
        self.lock = threading.Lock()
        self.requests = 0
        self.faults: Counter[str] = Counter()
        self.passed: Counter[tuple[str, str]] = Counter()

    @property
    def url(self) -> str:
        """Where the proxy listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A worker that is killed breaks its connections; that is the point."""


class _Forward(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = urlsplit(self.path).path
        with self.server.lock:
            self.server.requests += 1
            fault = self.server.decide(self.server.requests, self.command, path)
            if fault:
                self.server.faults[fault] += 1
            else:
                self.server.passed[self.command, path] += 1
        if fault == "slow_down":
            self._answer(503, {"content-type": "application/xml"}, SLOW_DOWN)
            return
        upstream = http.client.HTTPConnection(self.server.upstream)
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        data = answer.read()
        upstream.close()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
        if fault == "cut" and len(data) > 1:
            self._answer(answer.status, kept, data[: len(data) // 2], length=len(data))
            self.close_connection = True
            return
        self._answer(answer.status, kept, data)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle  # noqa: N815 - the names that http.server looks for

    def _answer(self, status: int, headers: dict[str, str], body: bytes, length: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("content-length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent."""


_HOP = {"connection", "transfer-encoding", "keep-alive"}


@contextmanager
def proxy(upstream: str, decide: Callable[[int, str, str], Fault | None]) -> Iterator[Proxy]:
    """Run a proxy for the time of a test."""
    server = Proxy(upstream, decide)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
