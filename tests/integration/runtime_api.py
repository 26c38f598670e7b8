"""A Lambda Runtime API of our own (2018-06-01), for what AWS's emulator does not have: SnapStart's restore.

It hands events to the real runtime client and records every call that the client makes, in order.
"""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.integration.emulator import HANDLER
from tests.integration.sandbox import RUNTIME_PYTHON, Sandbox

PREFIX = "/2018-06-01/runtime"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_about: object) -> None:
        """Say nothing: a client that is killed breaks its connection."""


class RuntimeApi:
    """A runtime client around the built function, restored from a snapshot when ``restore`` is called."""

    def __init__(self, sandbox: Sandbox, **environment: str) -> None:
        self.calls: list[str] = []
        self.answers: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._events: queue.Queue[bytes] = queue.Queue()
        self._restored, self._waits = threading.Event(), threading.Event()
        self._sandbox, self._environment = sandbox, environment
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        address = f"127.0.0.1:{self._server.server_port}"
        environment = self._sandbox.environment(AWS_LAMBDA_RUNTIME_API=address, **self._environment)
        command = self._sandbox.command(str(RUNTIME_PYTHON), "-m", "awslambdaric", HANDLER)
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait_for_snapshot(self, timeout: float = 60) -> None:
        """Return when the client asks for its restore, which is when Lambda would take the snapshot."""
        assert self._waits.wait(timeout), "the runtime client never asked to be restored"

    def restore(self) -> None:
        """Let the client go on, as after a restore."""
        self._restored.set()

    def invoke(self, event: object, timeout: float = 60) -> tuple[str, Any]:
        """Hand out an event; returns ``response`` or ``error`` and the body that the client posted."""
        self._events.put(json.dumps(event).encode())
        return self.answers.get(timeout=timeout)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_about: object) -> None:
                pass

            def do_GET(self) -> None:
                api.calls.append(self.path.removeprefix(PREFIX))
                if self.path.endswith("/restore/next"):
                    api._waits.set()
                    api._restored.wait()
                    self._send(200, b"")
                    return
                event = api._events.get()
                deadline = str(int(time.time() * 1000) + 30_000)
                self._send(
                    200,
                    event,
                    ("Lambda-Runtime-Aws-Request-Id", "request-1"),
                    ("Lambda-Runtime-Deadline-Ms", deadline),
                    (
                        "Lambda-Runtime-Invoked-Function-Arn",
                        "arn:aws:lambda:eu-central-1:123456789012:function:rerank:live",
                    ),
                )

            def do_POST(self) -> None:
                path = self.path.removeprefix(PREFIX)
                api.calls.append(path)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                api.answers.put((path.rsplit("/", 1)[1], json.loads(body)))
                self._send(202, b"")

            def _send(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
                self.send_response(status)
                for name, value in (*headers, ("Content-Type", "application/json"), ("Content-Length", str(len(body)))):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        return Handler
