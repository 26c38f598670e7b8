"""A Function URL before the built artefacts in Lambda's emulator: HTTP comes in, events go on, one at a time."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.integration.emulator import Emulator
from tests.integration.events import http_event
from tests.integration.sandbox import Sandbox


@contextmanager
def gateway(**environment: str) -> Iterator[str]:
    """The address of a deployed function, as near as this machine can have one."""
    with Emulator(Sandbox.of(), **environment) as emulator:
        turn = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                """Pass the request on as an event, and the answer back."""
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                event = http_event("Function URL", self.command, self.path, body or None, headers)
                with turn:
                    answer = emulator.invoke(event)
                content = answer["body"].encode()
                if answer.get("isBase64Encoded"):
                    content = base64.b64decode(content)
                self.send_response(answer["statusCode"])
                for name, value in answer["headers"].items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_arguments: object) -> None:
                """Keep quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
