"""The environment, read once."""

from __future__ import annotations

from pathlib import Path

import pytest

from handler.settings import Settings


def test_an_empty_environment_is_closed() -> None:
    settings = Settings.from_environment({"RERANK_AUTH_MODE": "", "RERANK_KEY_DIGESTS": ""})
    assert settings.auth_mode == "Key"
    assert settings.key_digests == ()
    assert settings.model_dir == Path("/opt/model")
    assert settings.buckets == ()


def test_lists_are_split_on_commas() -> None:
    settings = Settings.from_environment({"RERANK_KEY_DIGESTS": " AB, cd ,", "RERANK_BUCKETS": "one,two"})
    assert settings.key_digests == ("ab", "cd")
    assert settings.buckets == ("one", "two")


def test_an_unknown_auth_mode_fails_init() -> None:
    with pytest.raises(ValueError, match="RERANK_AUTH_MODE must be"):
        Settings.from_environment({"RERANK_AUTH_MODE": "Open"})
