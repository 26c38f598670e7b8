"""Download and verify: files of the catalogue from the hub, and archives of models into a folder.

A download goes on where the last one stopped, follows redirects but never from https to http, and is given its name
only when its SHA-256 is the one expected. Nothing here trusts what a server or an archive says about itself.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import sys
import time
import zipfile
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from tqdm import tqdm

if TYPE_CHECKING:
    from layer.catalogue import Entry

HUB = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
MAX_BYTES = 4 * 1024**3  # of a file or an unpacked archive whose size nobody states
ATTEMPTS = 5
TIMEOUT = 30
BLOCK = 1 << 20
RETRIED = {408, 429, 500, 502, 503, 504}


class FetchError(Exception):
    """A file could not be had, or is not what it should be; one sentence for the person at the terminal."""


class _Redirects(HTTPRedirectHandler):
    """Follows redirects, as hubs send them to their stores, but stays with https."""

    def redirect_request(self, *given: Any) -> Request | None:
        request = super().redirect_request(*given)
        if request is not None and urlsplit(given[0].full_url).scheme == "https" and request.type != "https":
            raise FetchError(f"{urlsplit(given[0].full_url).netloc} redirects from https to something less safe")
        return request


def fetch(entry: Entry, folder: Path, *, allow_unpinned: bool = False, hub: str = HUB) -> list[Path]:
    """Download the files of ``entry`` into ``folder`` and return where they are.

    Raises ``FetchError``: also, before anything is downloaded, where a digest is unknown and that is not allowed.
    """
    if not entry.pinned and not allow_unpinned:
        unknown = ", ".join(file.path for file in entry.files if not file.sha256) or "the revision"
        raise FetchError(
            f"{entry.name} is not pinned: no published SHA-256 is known of {unknown}. "
            "ALLOW_UNPINNED=1 takes what the hub gives and prints its digests."
        )
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for file in entry.files:
        url = f"{hub}/{entry.source}/resolve/{quote(entry.revision or 'main', safe='')}/{quote(file.path)}"
        paths.append(download(url, folder / file.name, size=file.bytes, sha256=file.sha256))
        if not file.sha256:
            print(f"{file.path}: unpinned, sha256 {digest(paths[-1])}", file=sys.stderr)
    return paths


def download(url: str, path: Path, *, size: int | None = None, sha256: str | None = None, pause: float = 1.0) -> Path:
    """Download ``url`` to ``path``, going on with what an earlier try left in ``<path>.part``.

    ``size`` in bytes and ``sha256`` are held against what comes. Raises ``FetchError``.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise FetchError(f"{url} is not an http or https address")
    if path.exists() and (sha256 is None or digest(path) == sha256):
        return path
    part = path.with_name(path.name + ".part")
    resumed = part.exists()
    for attempt in range(1, ATTEMPTS + 1):
        trouble = _attempt(url, part, size)
        if trouble is None:
            break
        if attempt == ATTEMPTS:
            raise FetchError(f"{path.name}: {trouble}. Run it again to go on from there.")
        time.sleep(pause * 2 ** (attempt - 1))
    if sha256 is not None and (found := digest(part)) != sha256:
        part.unlink()
        if resumed:  # what was left from an earlier try may have been something else
            return download(url, path, size=size, sha256=sha256, pause=pause)
        raise FetchError(f"{path.name}: its SHA-256 is {found}, not {sha256}; it was thrown away")
    part.replace(path)
    return path


def _attempt(url: str, part: Path, size: int | None) -> str | None:
    """Receive what is missing; return None when all is there, or what went wrong where another try may help."""
    have = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"User-Agent": "lambda-rerank", **({"Range": f"bytes={have}-"} if have else {})})
    try:
        with build_opener(_Redirects).open(request, timeout=TIMEOUT) as response:
            if response.status != 206:
                have = 0
            length = response.headers.get("Content-Length")
            total = have + int(length) if length else size
            if size is not None and total != size:
                raise FetchError(f"{part.stem}: the server has {total} bytes, not {size}")
            return _receive(response, part, have, total)
    except HTTPError as error:
        if error.code == 416 and have and have == size:
            return None
        if error.code == 416:
            part.unlink(missing_ok=True)
            return "the server could not go on from where the last try stopped"
        if error.code in RETRIED:
            return f"the server answered {error.code}"
        raise FetchError(f"{part.stem}: the server answered {error.code}") from error
    except (URLError, HTTPException, OSError) as error:
        return f"the connection failed ({type(error).__name__})"


def _receive(response: Any, part: Path, have: int, total: int | None) -> str | None:
    bound = total if total is not None else MAX_BYTES
    bar = tqdm(desc=part.stem, initial=have, total=total, unit="B", unit_scale=True, unit_divisor=1024, mininterval=0.5)
    with part.open("ab" if have else "wb") as out, bar:
        while block := response.read(BLOCK):
            have += len(block)
            if have > bound:
                raise FetchError(f"{part.stem}: more than {bound} bytes came")
            out.write(block)
            bar.update(len(block))
    return None if total is None or have == total else f"the body ended after {have} of {total} bytes"


def extract(archive: Path, folder: Path, *, bound: int = MAX_BYTES) -> Path:
    """Unpack a zip into ``folder``, which must not exist, and return where its model lies.

    That is the one folder at its top, where there is one. Raises ``FetchError``, and leaves nothing behind, for a
    broken archive, a member that would leave the folder, a link, an encrypted member, or more than ``bound`` bytes.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not _clutter(member)]
            for member in members:
                _check(member)
            if sum(member.file_size for member in members) > bound:
                raise FetchError(f"{archive.name} would unpack to more than {bound} bytes")
            left = bound
            for member in members:
                left -= _unpack(opened, member, folder, left)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise FetchError(f"{archive.name} cannot be unpacked ({type(error).__name__})") from error
    except FetchError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    inside = list(folder.iterdir()) if folder.exists() else []
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _check(member: zipfile.ZipInfo) -> None:
    path = PurePosixPath(member.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in member.filename or ":" in member.filename:
        raise FetchError(f"the archive holds {member.filename!r}, which would leave its folder")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise FetchError(f"the archive holds {member.filename!r}, which is neither a file nor a folder")
    if member.flag_bits & 1:
        raise FetchError(f"the archive holds {member.filename!r}, which is encrypted")


def _unpack(opened: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, left: int) -> int:
    """Write one member and return its size; what a member says of its size is not believed."""
    path = folder / member.filename
    if member.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with opened.open(member) as source, path.open("xb") as out:
        while block := source.read(BLOCK):
            written += len(block)
            if written > left:
                raise FetchError(f"{member.filename!r} makes the archive unpack to more than is allowed")
            out.write(block)
    return written


def _clutter(member: zipfile.ZipInfo) -> bool:
    """Whether it is what macOS adds to archives."""
    path = PurePosixPath(member.filename)
    return "__MACOSX" in path.parts or path.name == ".DS_Store"


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
