"""The key: where it may stand, what is refused, and that an open deployment must be asked for."""

from __future__ import annotations

from hashlib import sha256

import pytest

from handler.auth import KEY_HEADERS, authorise
from handler.errors import Unauthorized
from handler.runtime import SETTINGS

CLOSED = SETTINGS._replace(auth_mode="Key", key_digests=tuple(sha256(key).hexdigest() for key in (b"one", b"two")))


@pytest.mark.parametrize("header", KEY_HEADERS)
@pytest.mark.parametrize("value", ["one", "two", "Bearer two", "bearer  two", "BEARER one "])
def test_each_key_is_taken_in_each_place(header: str, value: str) -> None:
    authorise({header: value}, CLOSED)


@pytest.mark.parametrize("value", ["", "three", "Bearer", "Bearer ", "Basic one", "one two", "ONE"])
def test_what_is_no_key_is_refused(value: str) -> None:
    with pytest.raises(Unauthorized):
        authorise({"authorization": value}, CLOSED)


def test_a_key_beside_a_signature_is_enough() -> None:
    authorise({"authorization": "AWS4-HMAC-SHA256 Credential=any", "x-amz-security-token": "one"}, CLOSED)


def test_without_digests_nothing_opens() -> None:
    for value in ("", "one"):
        with pytest.raises(Unauthorized):
            authorise({"authorization": value}, CLOSED._replace(key_digests=()))


@pytest.mark.parametrize("mode", ["None", "Front"])
def test_another_mode_asks_for_no_key(mode: str) -> None:
    authorise({}, CLOSED._replace(auth_mode=mode))
