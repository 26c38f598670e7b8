"""Objects in S3: read in bounded pieces, line by line, and written once.

Only buckets that the deployment names (``RERANK_BUCKETS``) are touched. Every call goes through botocore's standard
retry mode, which backs off with jitter. boto3 takes longer to import than the rest of the handler together, so it is
imported by the first event that needs it.
"""

from __future__ import annotations

import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain
from json import loads
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from handler.contract import MAX_BODY_BYTES, MAX_NESTING
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
from handler.runtime import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE_BYTES = 1024 * 1024  # one GET: a connection that waits while passages are scored would be dropped
TAIL_BYTES = 256 * 1024  # what is read at once past the end of a range, to complete its last line
MAX_LINE_BYTES = MAX_BODY_BYTES
MAX_OBJECT_BYTES = 4 * MAX_BODY_BYTES  # an object that stands for the passages of one request
ATTEMPTS = 8  # botocore doubles its pause up to 20 s: together about a minute


@dataclass(frozen=True, slots=True)
class Pointer:
    """One object, or a bucket and prefix. ``version_id`` or ``etag`` pin what is read; ``owner`` is the account that
    must own the bucket.
    """

    bucket: str
    key: str
    version_id: str | None = None
    etag: str | None = None
    owner: str | None = None

    @classmethod
    def parse(cls, value: object, field: str) -> Pointer:
        """A pointer from ``{"bucket", "key", "version_id"?, "etag"?, "expected_bucket_owner"?}``.

        Raises ``InvalidRequest`` naming the field, and ``Forbidden`` for a bucket that the deployment does not name.
        """
        if not isinstance(value, dict):
            raise InvalidRequest(f"{field} must be an object with bucket and key", field)
        said: dict[str, str | None] = {}
        for name in ("bucket", "key", "version_id", "etag", "expected_bucket_owner"):
            text = said[name] = value.get(name)
            if text is None and name in {"bucket", "key"}:
                raise InvalidRequest(f"{field}.{name} is required", f"{field}.{name}")
            if text is not None and not (isinstance(text, str) and 0 < len(text) <= 1024):
                raise InvalidRequest(f"{field}.{name} must be a string of 1 to 1,024 characters", f"{field}.{name}")
        allowed(bucket := str(said["bucket"]), f"{field}.bucket")
        return cls(bucket, str(said["key"]), said["version_id"], said["etag"], said["expected_bucket_owner"])

    @property
    def gzipped(self) -> bool:
        """Whether the key's name says that the object is compressed."""
        return self.key.endswith(".gz")


class Line(NamedTuple):
    """A line of an object: where it begins, where the next one begins, and its bytes without the line feed, or None
    where it is longer than ``MAX_LINE_BYTES``. Offsets count bytes, after decompression.
    """

    start: int
    end: int
    data: bytes | None


class Readable(Protocol):
    """What can be uploaded."""

    def read(self, size: int = ..., /) -> bytes:
        """At most ``size`` bytes."""


def allowed(bucket: str, field: str) -> None:
    """Raise ``Forbidden`` unless the deployment names ``bucket``."""
    if bucket not in SETTINGS.buckets:
        raise Forbidden(f"{field} is not among the buckets that this deployment may use (RERANK_BUCKETS)", field)


@cache
def client() -> Any:
    """The S3 client of this execution environment."""
    import boto3
    from botocore.config import Config

    retries = {"mode": "standard", "total_max_attempts": ATTEMPTS}
    return boto3.client("s3", config=Config(retries=retries, connect_timeout=5, read_timeout=30))


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn botocore's exceptions into those of this service. None of them repeats a key."""
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        raise _named(code, status) from None
    except _broken() as error:
        raise StorageError(f"S3 cannot be reached ({type(error).__name__})") from None


def _broken() -> tuple[type[Exception], ...]:
    """What a connection that fails raises; urllib3's own errors come through where an error's body breaks off."""
    from botocore.exceptions import BotoCoreError, HTTPClientError
    from urllib3.exceptions import HTTPError

    return BotoCoreError, HTTPClientError, HTTPError


def _named(code: str, status: int) -> RerankError:
    if code in {"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "404"} or status == 404:
        return ObjectNotFound(f"S3 does not hold the object ({code})")
    if status == 412:
        return ObjectChanged("the object is no longer the version that the work began with")
    if status == 403:
        return Forbidden(f"S3 refuses access to the bucket or object ({code})")
    if status == 503 or status >= 500 or code in {"SlowDown", "RequestTimeout", "Throttling"}:
        return StorageError(f"S3 kept failing after {ATTEMPTS} attempts ({code})")
    return StorageError(f"S3 refused the request ({code})")


def read(pointer: Pointer, start: int, length: int) -> bytes:
    """At most ``length`` bytes from ``start`` on; fewer, or none, where the object ends."""
    from botocore.exceptions import ClientError

    with storage_errors():
        for attempt in range(ATTEMPTS):
            try:
                answer = client().get_object(**_address(pointer), Range=f"bytes={start}-{start + length - 1}")
                data: bytes = answer["Body"].read()
            except ClientError as error:
                if error.response["Error"]["Code"] == "InvalidRange":
                    return b""
                raise
            except _broken():  # a body that broke off: botocore retries only up to the headers
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                return data
    raise AssertionError("unreachable")


def read_whole(pointer: Pointer, limit: int, field: str) -> bytes:
    """The object, decompressed. Raises ``PayloadTooLarge`` past ``limit`` bytes, before more is read."""
    pieces = bytearray()
    for piece in _pieces(pointer, 0, limit + 1):
        pieces += piece
        if len(pieces) > limit:
            raise PayloadTooLarge(f"{field} must hold at most {limit:,} bytes", field)
    return bytes(pieces)


def read_passages(value: object, field: str = "passages.s3") -> list[Any]:
    """The passages that an S3 pointer stands for: a JSON list, or JSON Lines with one passage a line."""
    text = read_whole(Pointer.parse(value, field), MAX_OBJECT_BYTES, field)
    try:
        if text.lstrip()[:1] == b"[":
            passages: list[Any] = loads(text)
            return passages
        return [loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        raise CorruptObject(f"{field} is neither a JSON list nor JSON Lines of {MAX_NESTING} levels at most") from None


def lines(pointer: Pointer, start: int, end: int) -> Iterator[Line]:
    """The lines that begin in ``[start, end)``, the last one whole; memory is bounded by a piece and a line.

    Ranges that meet share no line and lose none: one that does not begin at 0 leaves out what precedes the first line
    feed at or after ``start - 1``. Raises ``CorruptObject`` for what is not text.
    """
    if pointer.gzipped:  # cannot be entered in the middle: what precedes is decompressed again
        found: Iterator[Line] = (line for line in split(_pieces(pointer, 0, PIECE_BYTES), 0) if line.start >= start)
    else:
        found = _from_first_break(_pieces(pointer, max(start - 1, 0), max(end - start, 0) + 1), start, end)
    for line in found:
        if line.start >= end:
            return
        if line.data is not None and b"\0" in line.data[:1024]:
            raise CorruptObject(f"the object is not text: a NUL byte in the line at byte {line.start}")
        yield line


def _from_first_break(pieces: Iterator[bytes], start: int, end: int) -> Iterator[Line]:
    """The lines after the first line feed of a stream that begins at ``start - 1``, if that comes before ``end``."""
    if not start:
        yield from split(pieces, 0)
        return
    position = start - 1
    for piece in pieces:
        cut = piece.find(b"\n") + 1
        if cut:
            yield from split(chain([piece[cut:]], pieces), position + cut)
        position += len(piece)
        if position >= end:
            return


def split(pieces: Iterator[bytes], start: int) -> Iterator[Line]:
    """Cut a stream that begins at offset ``start`` into lines, keeping no more than a piece and a line."""
    rest = b""
    length = 0  # of the line so far, kept or not
    for piece in chain(pieces, [None]):
        parts = piece.split(b"\n") if piece is not None else [b"", b""] if length else []
        for position, part in enumerate(parts):
            if position:
                end = start + length + (piece is not None)
                yield Line(start, end, rest if len(rest) == length else None)
                start, rest, length = end, b"", 0
            length += len(part)
            if len(rest) + len(part) <= MAX_LINE_BYTES and len(rest) + len(part) == length:
                rest += part


def write(pointer: Pointer, body: bytes, *, once: bool = False) -> bool:
    """Put ``body``; with ``once`` only where no such object exists yet. Whether it was written."""
    from botocore.exceptions import ClientError

    condition = {"IfNoneMatch": "*"} if once else {}
    with storage_errors():
        try:
            client().put_object(**_address(pointer, reading=False), Body=body, **condition)
        except ClientError as error:
            # 409: another conditional write of the same key is under way, and will have won.
            if once and error.response["ResponseMetadata"]["HTTPStatusCode"] in {409, 412}:
                return False
            raise
    return True


def upload(pointer: Pointer, file: Readable) -> None:
    """Put what ``file`` holds from its position on, in parts where it is large; it need not be able to seek."""
    from boto3.exceptions import S3UploadFailedError
    from boto3.s3.transfer import TransferConfig

    extra = {"ExpectedBucketOwner": pointer.owner} if pointer.owner else {}
    # 10,000 parts at most; no threads, which would each hold a part in memory.
    config = TransferConfig(multipart_chunksize=16 * 1024 * 1024, use_threads=False)
    with storage_errors():
        try:
            client().upload_fileobj(file, pointer.bucket, pointer.key, ExtraArgs=extra, Config=config)
        except S3UploadFailedError as error:
            raise StorageError(f"S3 kept failing during an upload ({type(error.__context__).__name__})") from None


def keys(prefix: Pointer) -> Iterator[dict[str, Any]]:
    """``Key``, ``Size`` and ``ETag`` of every object under a prefix, in the order of their keys."""
    owner = {"ExpectedBucketOwner": prefix.owner} if prefix.owner else {}
    with storage_errors():
        pages = client().get_paginator("list_objects_v2").paginate(Bucket=prefix.bucket, Prefix=prefix.key, **owner)
        for page in pages:
            yield from page.get("Contents", ())


def head(pointer: Pointer) -> dict[str, Any]:
    """``ContentLength``, ``ETag`` and, in a versioned bucket, ``VersionId`` of an object."""
    with storage_errors():
        answer: dict[str, Any] = client().head_object(**_address(pointer))
    return answer


def delete(pointer: Pointer) -> None:
    """Remove an object; it need not exist."""
    with storage_errors():
        client().delete_object(**_address(pointer, reading=False))


def _address(pointer: Pointer, *, reading: bool = True) -> dict[str, str]:
    address = {"Bucket": pointer.bucket, "Key": pointer.key}
    if pointer.owner:
        address["ExpectedBucketOwner"] = pointer.owner
    if reading and pointer.version_id:
        address["VersionId"] = pointer.version_id
    if reading and pointer.etag:
        address["IfMatch"] = pointer.etag
    return address


def _pieces(pointer: Pointer, start: int, wanted: int) -> Iterator[bytes]:
    """The object from ``start`` on, decompressed where its name ends in .gz, in pieces of bounded size.

    ``wanted`` is how much will surely be read: past it the pieces are small.
    """
    raw = _raw(pointer, start, wanted)
    return _inflate(raw) if pointer.gzipped else raw


def _raw(pointer: Pointer, start: int, wanted: int) -> Iterator[bytes]:
    position, end = start, start + wanted
    while True:
        length = min(PIECE_BYTES, end - position) if position < end else TAIL_BYTES
        if pointer.gzipped:
            length = PIECE_BYTES
        piece = read(pointer, position, length)
        if piece:
            yield piece
        if len(piece) < length:
            return
        position += length


def _inflate(pieces: Iterator[bytes]) -> Iterator[bytes]:
    inflater = zlib.decompressobj(wbits=31)
    fed = False
    try:
        for piece in pieces:
            data = piece
            while data:
                if inflater.eof:  # gzip members may follow one another
                    inflater = zlib.decompressobj(wbits=31)
                fed = True
                plain = inflater.decompress(data, PIECE_BYTES)
                if plain:
                    yield plain
                data = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
    except zlib.error:
        raise CorruptObject("the object is not valid gzip") from None
    if fed and not inflater.eof:
        raise CorruptObject("the gzip stream breaks off before its end")
