"""Which clients the running environment holds."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from tests.clients.client import Client

# One environment per dependency group of pyproject.toml.
MODULES = {"clients": ("vendors", "frameworks"), "clients-pinned": ("pinned",)}
NPM = json.loads(Path(__file__).with_name("package.json").read_text())["dependencies"]

CLIENTS: tuple[Client, ...] = tuple(
    client for module in MODULES[Path(sys.prefix).name] for client in import_module(f"tests.clients.{module}").CLIENTS
)


def name_and_version(client: Client) -> str:
    """What reports call a client."""
    npm = client.package.removeprefix("npm:")
    return f"{client.name} {NPM[npm] if npm != client.package else version(client.package)}"
