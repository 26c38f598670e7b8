"""S3 objects read in bounded pieces, line by line, and written once."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import IncompleteReadError
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from handler import objects
from handler.dialects import native
from handler.errors import (
    CorruptObject,
    Forbidden,
    InvalidRequest,
    ObjectChanged,
    ObjectNotFound,
    PayloadTooLarge,
    RerankError,
    StorageError,
)
from handler.objects import Line, Pointer
from tests.unit.s3 import s3

__all__ = ["s3"]

TEXT = st.binary(max_size=60).map(lambda b: b.replace(b"\0", b"\n"))  # a NUL byte would be refused


def lines_of(data: bytes) -> list[Line]:
    found, start = [], 0
    for line in _by_feed(data):
        found.append(Line(start, start + len(line), line.removesuffix(b"\n")))
        start += len(line)
    return found


def _by_feed(data: bytes) -> Iterator[bytes]:
    *whole, rest = data.split(b"\n")
    yield from (line + b"\n" for line in whole)
    if rest:
        yield rest


@given(data=TEXT, cuts=st.lists(st.integers(0, 60)), piece=st.integers(1, 9))
def test_ranges_that_meet_share_no_line_and_lose_none(data: bytes, cuts: list[int], piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objects, "read", lambda _pointer, start, length: data[start : start + length])
        patch.setattr(objects, "PIECE_BYTES", piece)
        patch.setattr(objects, "TAIL_BYTES", 2)
        edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
        pointer = Pointer("data", "a.jsonl")
        found = [line for begin, end in pairwise(edges) for line in objects.lines(pointer, begin, end)]
    assert found == lines_of(data)


@given(data=st.binary(max_size=200), piece=st.integers(1, 50), longest=st.integers(0, 20))
def test_a_stream_is_cut_into_lines_whatever_its_pieces(data: bytes, piece: int, longest: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objects, "MAX_LINE_BYTES", longest)
        pieces = (data[start : start + piece] for start in range(0, len(data), piece))
        found = list(objects.split(pieces, 7))
    expected = list(_by_feed(data))
    assert [line.data for line in found] == [
        None if len(line.removesuffix(b"\n")) > longest else line.removesuffix(b"\n") for line in expected
    ]
    assert [line.start for line in found] == [7 + sum(map(len, expected[:i])) for i in range(len(expected))]
    assert [line.end - line.start for line in found] == [len(line) for line in expected]


def test_a_range_within_one_long_line_reads_no_further_than_itself(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    s3.put_object(Bucket="data", Key="a.jsonl", Body=b"x" * 1_000_000 + b"\n{}\n")
    read = objects.read

    def counted(pointer: Pointer, start: int, length: int) -> bytes:
        asked.append(length)
        return read(pointer, start, length)

    monkeypatch.setattr(objects, "read", counted)
    assert list(objects.lines(Pointer("data", "a.jsonl"), 500_000, 501_000)) == []
    assert sum(asked) == 1_001


def test_gzip_members_and_offsets_count_decompressed_bytes(s3: Any) -> None:
    s3.put_object(Bucket="data", Key="a.jsonl.gz", Body=gzip.compress(b"one\ntwo\n") + gzip.compress(b"three"))
    pointer = Pointer("data", "a.jsonl.gz")
    assert list(objects.lines(pointer, 0, 2**53)) == [Line(0, 4, b"one"), Line(4, 8, b"two"), Line(8, 13, b"three")]
    assert list(objects.lines(pointer, 4, 8)) == [Line(4, 8, b"two")]


@pytest.mark.parametrize(
    ("key", "body", "reason"),
    [
        ("a.jsonl.gz", b"plain text", "not valid gzip"),
        ("a.jsonl.gz", gzip.compress(random.Random(1).randbytes(9000).replace(b"\0", b""))[:-500], "breaks off"),
        ("a.jsonl", b"PAR1\0\1\2\n", "not text: a NUL byte in the line at byte 0"),
        ("a.jsonl", b'{"ok": 1}\n\0\0\0', "not text: a NUL byte in the line at byte 10"),
    ],
)
def test_what_is_no_text_is_called_corrupt(s3: Any, key: str, body: bytes, reason: str) -> None:
    s3.put_object(Bucket="data", Key=key, Body=body)
    with pytest.raises(CorruptObject, match=reason):
        list(objects.lines(Pointer("data", key), 0, 2**53))


def test_a_gzip_bomb_is_read_in_bounded_pieces(s3: Any) -> None:
    s3.put_object(Bucket="data", Key="b.jsonl.gz", Body=gzip.compress(b"x" * 40_000_000 + b"\n{}"))
    (first, second) = objects.lines(Pointer("data", "b.jsonl.gz"), 0, 2**53)
    assert (first.data, second.data) == (None, b"{}")
    with pytest.raises(PayloadTooLarge):
        objects.read_whole(Pointer("data", "b.jsonl.gz"), 1_000_000, "passages.s3")


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("NoSuchKey", 404, ObjectNotFound),
        ("NoSuchBucket", 404, ObjectNotFound),
        ("404", 404, ObjectNotFound),
        ("PreconditionFailed", 412, ObjectChanged),
        ("AccessDenied", 403, Forbidden),
        ("SlowDown", 503, StorageError),
        ("InternalError", 500, StorageError),
        ("InvalidBucketState", 409, StorageError),
    ],
)
def test_what_s3_answers_has_a_name(s3: Any, code: str, status: int, expected: type[RerankError]) -> None:
    with Stubber(s3) as stub:
        stub.add_client_error("get_object", code, "secret-key-name", status)
        with pytest.raises(expected) as caught:
            objects.read(Pointer("data", "secret-key-name"), 0, 10)
    assert "secret-key-name" not in str(caught.value)


def test_version_etag_and_owner_go_with_every_read(s3: Any) -> None:
    pointer = Pointer("data", "k", version_id="v", etag='"e"', owner="123456789012")
    expected = {
        "Bucket": "data", "Key": "k", "VersionId": "v", "IfMatch": '"e"', "ExpectedBucketOwner": "123456789012",
        "Range": "bytes=5-14",
    }  # fmt: skip
    with Stubber(s3) as stub:
        stub.add_client_error("get_object", "AccessDenied", "", 403, expected_params=expected)
        with pytest.raises(Forbidden):
            objects.read(pointer, 5, 10)


def test_a_body_that_breaks_off_is_asked_for_again(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def read(self) -> bytes:
            raise IncompleteReadError(actual_bytes=1, expected_bytes=2)

    s3.put_object(Bucket="data", Key="k", Body=b"0123")
    answers = [{"Body": Broken()}, {"Body": Broken()}]
    get = s3.get_object
    monkeypatch.setattr(s3, "get_object", lambda **asked: answers.pop() if answers else get(**asked))
    assert objects.read(Pointer("data", "k"), 1, 2) == b"12"
    assert not answers
    monkeypatch.setattr(s3, "get_object", lambda **_: {"Body": Broken()})
    with pytest.raises(StorageError, match="IncompleteReadError"):
        objects.read(Pointer("data", "k"), 1, 2)


def test_past_the_end_of_an_object_there_is_nothing(s3: Any) -> None:
    s3.put_object(Bucket="data", Key="k", Body=b"0123")
    assert objects.read(Pointer("data", "k"), 4, 10) == b""
    assert objects.read(Pointer("data", "k"), 2, 10) == b"23"


def test_an_object_that_changed_is_not_read(s3: Any) -> None:
    etag = s3.put_object(Bucket="data", Key="k", Body=b"one")["ETag"]
    pointer = Pointer("data", "k", etag=etag)
    assert objects.read(pointer, 0, 3) == b"one"
    s3.put_object(Bucket="data", Key="k", Body=b"two")
    with pytest.raises(ObjectChanged):
        objects.read(pointer, 0, 3)


def test_written_once_means_once(s3: Any) -> None:
    assert objects.write(Pointer("results", "k"), b"first", once=True)
    assert not objects.write(Pointer("results", "k"), b"second", once=True)
    assert objects.read(Pointer("results", "k"), 0, 9) == b"first"
    assert objects.write(Pointer("results", "k"), b"third")


@pytest.mark.parametrize(
    ("value", "error", "field"),
    [
        ("s3://data/key", InvalidRequest, "passages.s3"),
        ({"key": "k"}, InvalidRequest, "passages.s3.bucket"),
        ({"bucket": "data"}, InvalidRequest, "passages.s3.key"),
        ({"bucket": "data", "key": 3}, InvalidRequest, "passages.s3.key"),
        ({"bucket": "data", "key": ""}, InvalidRequest, "passages.s3.key"),
        ({"bucket": "data", "key": "k", "version_id": True}, InvalidRequest, "passages.s3.version_id"),
        ({"bucket": "foreign", "key": "k"}, Forbidden, "passages.s3.bucket"),
        ({"bucket": "data/../foreign", "key": "k"}, Forbidden, "passages.s3.bucket"),
        ({"bucket": "data", "key": "nowhere"}, ObjectNotFound, None),
    ],
)
def test_a_pointer_that_is_wrong_or_leads_elsewhere_is_refused(s3: Any, value: object, error: Any, field: str) -> None:
    with pytest.raises(error) as caught:
        native.parse({"query": "q", "passages": {"s3": value}})
    assert caught.value.field == field


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(["one", {"text": "two", "id": 7}]).encode(),
        b'"one"\n\n{"text": "two", "id": 7}\n',
    ],
)
def test_a_pointer_stands_for_the_passages(s3: Any, body: bytes) -> None:
    s3.put_object(Bucket="data", Key="p.json", Body=body)
    request = native.parse({"query": "q", "passages": {"s3": {"bucket": "data", "key": "p.json"}}})
    assert [(passage.text, passage.id) for passage in request.passages] == [("one", None), ("two", 7)]


@pytest.mark.parametrize(
    ("body", "error", "reason"),
    [
        (b"[1, 2", CorruptObject, "neither a JSON list nor JSON Lines"),
        (b"\xff\xfe\xfa", CorruptObject, "neither"),
        (b"[" * 100_000, CorruptObject, "neither"),
        (b'["\\ud800"]', InvalidRequest, "lone surrogate"),
        (b"[]", InvalidRequest, "passages must be a list of 1 to 1,000 passages"),
        (b"[1]", InvalidRequest, r"passages\[0\] must be"),
        (b" " * (objects.MAX_OBJECT_BYTES + 1), PayloadTooLarge, "at most 25,165,824 bytes"),
    ],
)
def test_an_object_that_holds_no_passages_is_named_and_not_quoted(
    s3: Any, body: bytes, error: Any, reason: str
) -> None:
    s3.put_object(Bucket="data", Key="p.json", Body=body)
    with pytest.raises(error, match=reason):
        native.parse({"query": "q", "passages": {"s3": {"bucket": "data", "key": "p.json"}}})
