"""AWS on this machine: the real boto3 clients, their retries included, against an endpoint that answers as told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

Answer = dict[str, Any] | tuple[int, str]  # a body, or a status with the name of an error


@dataclass
class Aws:
    """What the endpoint was asked, and what it answers: the next of ``answers``, or what ``answer`` makes of it."""

    answers: list[Answer] = field(default_factory=list)
    answer: Callable[[dict[str, Any]], Answer] | None = None
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    state = Aws()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.asked.append((self.path, body))
            told = state.answers.pop(0) if state.answers or state.answer is None else state.answer(body)
            status, said = (200, told) if isinstance(told, dict) else (told[0], {"message": "said the caller's text"})
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            if not isinstance(told, dict):
                self.send_header("x-amzn-ErrorType", told[1])
            if "FunctionError" in said:
                self.send_header("X-Amz-Function-Error", said.pop("FunctionError"))
            content = json.dumps(said).encode()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)
    yield state
    server.shutdown()
    thread.join()
    server.server_close()
