"""AWS's own Runtime Interface Emulator with AWS's own Python runtime client, around the built artefacts.

The emulator's binary comes with the aws-sam-cli wheel. It is started plainly, without a container.
"""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self

from layer.target import MACHINES
from tests.integration.sandbox import ROOT, RUNTIME_PYTHON, Sandbox

HANDLER = "handler.app.lambda_handler"
INVOKE = "/2015-03-31/functions/function/invocations"


def binary() -> Path:
    """The emulator for this machine. Raises ``FileNotFoundError`` where the infra environment is not there."""
    name = {machine: architecture for architecture, machine in MACHINES.items()}[platform.machine()]
    found = sorted((ROOT / ".venvs" / "infra").glob(f"lib/*/site-packages/samcli/local/rapid/aws-lambda-rie-{name}"))
    if not found:
        raise FileNotFoundError("make .venvs/infra/.ready brings the emulator")
    return found[0]


class Emulator:
    """One execution environment. ``invoke`` takes an event and returns what the caller of Lambda would get."""

    def __init__(self, sandbox: Sandbox, **environment: str) -> None:
        self._sandbox = sandbox
        self._environment = sandbox.environment(**environment)
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self._port, runtime_port = _free_port(), _free_port()
        command = [str(binary()), "--runtime-interface-emulator-address", f"127.0.0.1:{self._port}"]
        command += ["--runtime-api-address", f"127.0.0.1:{runtime_port}"]
        command += [str(RUNTIME_PYTHON), "-m", "awslambdaric", HANDLER]
        self._process = subprocess.Popen(
            self._sandbox.command(*command),
            env=self._environment,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return self
            time.sleep(0.05)
        raise TimeoutError(f"the emulator did not listen: {self.log()}")

    def __exit__(self, *_exception: object) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._output.close()

    def invoke(self, event: object, timeout: float = 60) -> Any:
        """Send an event (or the raw bytes of one) and return the decoded answer."""
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{INVOKE}", data=data)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                body = response.read()
        except urllib.error.HTTPError as error:
            body = error.read()
        try:
            return json.loads(body)
        except ValueError:
            return body.decode(errors="replace")

    def log(self) -> str:
        """What the emulator and the function have written up to now."""
        position = self._output.tell()
        self._output.seek(0)
        text = self._output.read().decode(errors="replace")
        self._output.seek(position)
        return text

    def pids(self) -> set[int]:
        """The processes of the runtime client. One that survives keeps its number."""
        children = Path("/proc").glob("[0-9]*/cmdline")
        marker = f"awslambdaric\0{HANDLER}\0".encode()
        return {int(path.parent.name) for path in children if self._is_ours(path, marker)}

    def _is_ours(self, cmdline: Path, marker: bytes) -> bool:
        try:
            stat = (cmdline.parent / "stat").read_text()
            group = int(stat.rsplit(")", 1)[1].split()[2])
            return marker in cmdline.read_bytes() and self._process is not None and group == self._process.pid
        except OSError:
            return False

    def init_ms(self) -> float | None:
        """Milliseconds from starting the runtime client to its first wait for an event; None before there was one."""
        found = re.search(r"INIT REPORT\(durationMs: ([\d.]+)\)", self.log())
        return float(found[1]) if found else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
