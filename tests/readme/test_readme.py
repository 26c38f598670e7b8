"""Every command in README.md is run, and what it prints is held against what the README shows.

The quick suite runs what takes seconds; ``make test-readme`` runs the rest. What cannot be run without an AWS account
is held against make itself, and has its own tests, named below.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import KEY
from tests.readme.readme import README, Command, blocks, commands, same, same_json, same_text
from tests.service import serving

ROOT = README.parent
MARKDOWN = README.read_text(encoding="utf-8")
COMMANDS = commands(MARKDOWN)

QUICK, SLOW = "seconds", "minutes"
SERVER = "it stays up: the fixtures start what it starts"
ACCOUNT = "it needs an AWS account: tests/template and tests/unit/infra hold what it does"
ITSELF = "it runs this test"
HOW = {
    "make": QUICK, "make help": QUICK, "make key": QUICK, "make cost": QUICK, "curl": QUICK,
    "make run": SLOW, "make build": SLOW, "make package": SLOW, "make verify": SLOW, "make bench": SLOW,
    "make eval": SLOW, "make two-stage": SLOW, "make figures": SLOW, "make batch": SLOW, "make test-browser": SLOW,
    "make test-clients": SLOW, "make test-arm64": SLOW, "make model": SLOW, "make template-lint": SLOW,
    "make check": ITSELF, "make test": ITSELF, "make test-readme": ITSELF, "make serve": SERVER,
    "make deploy": ACCOUNT, "make url": ACCOUNT, "make smoke": ACCOUNT, "make tail": ACCOUNT, "make power": ACCOUNT,
    "make delete": ACCOUNT, "make train": "it takes hours: tests/unit/layer holds its parts", "aws": ACCOUNT,
    "sam": ACCOUNT, "export": "it names what the fixtures name", "cd": "it names this folder", "git": "it clones this",
}  # fmt: skip
ALL = os.environ.get("README") == "all"


def kind(command: Command) -> str:
    """The program that the command starts, with its verb where that is make."""
    words = [word for word in command.text.split() if "=" not in word or word.startswith("-")]
    return " ".join(words[:2] if words[0] == "make" and len(words) > 1 and words[1] != "#" else words[:1])


def label(command: Command) -> str:
    return f"line {command.line}: {command.text.splitlines()[0][:60]}"


@pytest.fixture(scope="session")
def open_server() -> Iterator[str]:
    with serving(RERANK_AUTH_MODE="None") as url:
        yield url.removeprefix("http://")


@pytest.fixture(scope="session")
def closed_server() -> Iterator[str]:
    with serving(RERANK_AUTH_MODE="Key", RERANK_KEY_DIGESTS=sha256(KEY.encode()).hexdigest()) as url:
        yield url.removeprefix("http://")


def filled(text: str) -> str:
    """The command with what a person would put between angle brackets."""
    return re.sub(r"<[^>\n]*digest[^>\n]*>", "0" * 64, text)


@pytest.mark.parametrize("command", COMMANDS, ids=label)
def test_every_command_has_a_way_to_be_tested(command: Command) -> None:
    assert kind(command) in HOW, f"say in HOW how `{kind(command)}` is tested"
    if command.output is not None:
        assert HOW[kind(command)] in {QUICK, SLOW}, "nothing can hold this output against a real run"


@pytest.mark.parametrize("command", [c for c in COMMANDS if kind(c).startswith("make")], ids=label)
def test_make_knows_the_verb(command: Command) -> None:
    dry = filled(command.text).replace("make", "make -n", 1)
    done = subprocess.run(["bash", "-c", dry], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(3600 if ALL else 300)
@pytest.mark.parametrize("command", [c for c in COMMANDS if HOW.get(kind(c)) in {QUICK, SLOW}], ids=label)
def test_the_command_does_what_the_readme_shows(command: Command, open_server: str, closed_server: str) -> None:
    if HOW[kind(command)] == SLOW and not ALL:
        pytest.skip("minutes: make test-readme runs it")
    if missing := [path for path in re.findall(r"\.\./\S+", command.text) if not (ROOT / path).exists()]:
        pytest.skip(f"not on this machine: {', '.join(missing)}")
    text = filled(command.text).replace("localhost:8000", open_server).replace("127.0.0.1:8000", open_server)
    exported = {"URL": f"http://{closed_server}", "KEY": KEY} if text.startswith("curl") else {}  # make reads URL, too
    environment = os.environ | exported
    shell = ["bash", "-euc", text]
    done = subprocess.run(shell, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    if text.startswith("curl"):
        assert "error" not in json.loads(done.stdout), done.stdout
    if command.output is not None:
        assert same(command.output, done.stdout) == []


@pytest.mark.parametrize(
    "block", [b for b in blocks(MARKDOWN) if b.language in {"js", "javascript"}], ids=lambda b: str(b.line)
)
def test_the_javascript_runs(block: Any, closed_server: str) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    environment = os.environ | {"URL": f"http://{closed_server}", "KEY": KEY}
    subprocess.run([node, "--input-type=module"], input=block.text, env=environment, check=True, text=True)


class Invoke(BaseHTTPRequestHandler):
    """Lambda's Invoke API in front of our handler, for boto3's real client."""

    def do_POST(self) -> None:
        from handler.app import lambda_handler

        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        context: Any = type("Context", (), {"aws_request_id": "1", "get_remaining_time_in_millis": lambda _: 30_000})()
        body = json.dumps(lambda_handler(event, context)).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture
def lambda_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with HTTPServer(("127.0.0.1", 0), Invoke) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{server.server_port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        yield
        server.shutdown()


@pytest.mark.parametrize("block", [b for b in blocks(MARKDOWN) if b.language == "python"], ids=lambda b: str(b.line))
@pytest.mark.filterwarnings("default::DeprecationWarning")
def test_the_python_runs(block: Any, closed_server: str, lambda_api: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("URL", f"http://{closed_server}")
    monkeypatch.setenv("KEY", KEY)
    modules = re.findall(r"^(?:import|from) (\w+)", block.text, re.MULTILINE)
    for module in modules:
        pytest.importorskip(module, reason="a client library: tests/clients runs it")
    names: dict[str, Any] = {"query": "how long?", "passages": ["Up to 15 minutes.", "Layers hold code."]}
    exec(compile(block.text, f"README.md:{block.line}", "exec"), names)  # noqa: S102 - it is our own README
    if "results" in names:
        assert {"index", "score"} <= names["results"][0].keys()


@pytest.mark.parametrize(
    "block", [b for b in blocks(MARKDOWN) if b.language in {"yaml", "json"}], ids=lambda b: str(b.line)
)
def test_data_in_the_readme_parses(block: Any) -> None:
    import yaml

    assert yaml.safe_load(block.text) if block.language == "yaml" else json.loads(block.text)


def test_every_picture_and_file_that_the_readme_shows_is_there() -> None:
    shown = re.findall(r"(?:src|srcset)=\"([^\"]+)\"|\]\(([^)]+)\)", MARKDOWN)
    paths = [a or b for a, b in shown if not (a or b).startswith(("http", "#"))]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_comparison_of_outputs_can_fail() -> None:
    assert same_json({"a": [1, 0.5]}, {"a": [1, 0.504]}) == []
    assert same_json({"a": [1, 0.5]}, {"a": [2, 0.9], "b": 1}) == [
        ".b: only on one side",
        ".a[0]: 1 shown, 2 real",
        ".a[1]: 0.5 shown, 0.9 real",
    ]
    assert same_json({"timings_ms": {"total": 1}}, {"timings_ms": {"total": 9}}) == []
    assert same_text("one\n…\nthree 3.00", "one\ntwo\nthree 3.01\nfour") == []
    assert same_text("took 5 ms", "took 900 ms") == []
    assert same_text("one\nthree 3", "one\ntwo\nthree 3") == ["three 3"]
    assert same_text("score 0.5", "score 0.9") == ["score 0.5"]


def test_commands_are_read_whole() -> None:
    indented = 'Do:\n\n    make key   # once\n    curl "$URL" -d \'{\n      "a": 1\n    }\'\n'
    text = indented + '\n```json\n{"b": 2}\n```\n\nor\n\n```sh\nmake a \\\n  B=1\n```\n'
    found = commands(text)
    assert [command.text.split()[0] for command in found] == ["make", "curl", "make"]
    assert found[1].output is not None
    assert found[1].output.text == '{"b": 2}\n'
    assert found[0].output is found[2].output is None
    assert Path(README).is_file()
