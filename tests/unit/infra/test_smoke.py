"""`make smoke` against the real HTTP application, closed, and against one that is open to the world."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest
import uvicorn

import handler.asgi
from handler.runtime import SETTINGS
from infra.smoke import call, failures
from tests.conftest import KEY


@contextmanager
def serving() -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(handler.asgi.app, host="127.0.0.1", port=0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


def test_a_closed_stack_that_ranks_passes(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as url:
        assert failures(url, KEY) == []
    assert "POST /rank with a wrong key: 401" in capsys.readouterr().out


def test_a_wrong_key_is_told_and_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as url:
        (wrong,) = failures(url, "not the key")
    assert wrong.startswith("/rank answered 401")
    assert "not the key" not in capsys.readouterr().out


def test_a_stack_that_is_open_to_the_world_is_told() -> None:
    with patch.object(handler.asgi, "SETTINGS", SETTINGS._replace(auth_mode="None")), serving() as url:
        assert any("open to the world" in wrong for wrong in failures(url, KEY))


def test_an_address_that_answers_nothing_ends_with_one_line() -> None:
    with pytest.raises(SystemExit, match="cannot be reached"):
        call("http://127.0.0.1:9/health", KEY)
