"""A server as `make serve` starts it, but closed: the clients must bring a key."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
KEY = "a key for the clients"

# The clients would report home.
os.environ.update(HAYSTACK_TELEMETRY_ENABLED="False", DO_NOT_TRACK="1", LITELLM_LOCAL_MODEL_COST_MAP="True")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Each client with its version, and how many of its tests passed."""
    passed: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            name = report.nodeid.partition("[")[2].removesuffix("]")
            asked[name] += 1
            passed[name] += outcome == "passed"
    terminalreporter.section("clients")
    for name, count in asked.items():
        terminalreporter.line(f"{name:45} {passed[name]} of {count}")


@pytest.fixture(scope="session")
def key() -> str:
    """The key that the server knows."""
    return KEY


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """The address of a running server; with ``RERANK_FRONT=emulator`` of the built artefacts in Lambda's emulator."""
    if os.environ.get("RERANK_FRONT") == "emulator":
        from tests.clients.gateway import gateway

        with gateway(RERANK_KEY_DIGESTS=sha256(KEY.encode()).hexdigest(), RERANK_PRELOAD="http") as address:
            yield address
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "RERANK_MODEL_DIR": os.environ.get("RERANK_MODEL_DIR") or str(ROOT / "layer" / "nano"),
        "RERANK_AUTH_MODE": "Key",
        "RERANK_KEY_DIGESTS": sha256(KEY.encode()).hexdigest(),
    }
    command = [sys.executable, "-m", "uvicorn", "handler.asgi:app", "--port", str(port), "--log-level", "warning"]
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(address, server)
        yield address
    finally:
        server.terminate()
        server.wait(10)


def _wait(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if server.poll() is not None:
            pytest.fail("the server ended before it answered")
        try:
            httpx.get(f"{address}/health").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the server did not answer within 30 seconds")
