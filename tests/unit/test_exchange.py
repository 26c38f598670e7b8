"""From bytes to JSON and back."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from handler.contract import MAX_BODY_BYTES
from handler.errors import InvalidRequest, PayloadTooLarge, UnsupportedEncoding
from handler.exchange import Call, decode, to_json


def call(body: bytes, encoding: str = "") -> Call:
    return Call("POST", "/rank", {"content-encoding": encoding} if encoding else {}, body, "request-1")


@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "GZIP"])
def test_a_body_is_read_plain_or_compressed(encoding: str) -> None:
    raw = json.dumps({"query": "é"}).encode()
    assert decode(call(gzip.compress(raw) if "zip" in encoding.lower() else raw, encoding)) == {"query": "é"}


@pytest.mark.parametrize(
    ("body", "encoding", "error"),
    [
        (b"", "", InvalidRequest),
        (b"{", "", InvalidRequest),
        (b"\xff", "", InvalidRequest),
        (b'{"a": NaN}', "", InvalidRequest),
        (b"[" * 100_000, "", InvalidRequest),
        (b"1" * 5000, "", InvalidRequest),
        (b"{}", "br", UnsupportedEncoding),
        (b"{}", "gzip", InvalidRequest),
        (gzip.compress(b"{}")[:-4], "gzip", InvalidRequest),
        (zlib.compress(b"{}"), "gzip", InvalidRequest),
        (b" " * (MAX_BODY_BYTES + 1), "", PayloadTooLarge),
        (gzip.compress(b" " * (MAX_BODY_BYTES + 1)), "gzip", PayloadTooLarge),
    ],
)
def test_what_is_no_json_is_refused(body: bytes, encoding: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        decode(call(body, encoding))


def test_scores_stay_doubles_and_text_stays_text() -> None:
    assert to_json({"score": 1.0, "text": "é"}) == '{"score":1.0,"text":"é"}'.encode()


def test_no_answer_holds_a_number_that_is_not_finite() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        to_json({"score": float("nan")})
