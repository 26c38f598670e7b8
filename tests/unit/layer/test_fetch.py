"""Downloads against a server on this machine that has every fault, and archives made by hand."""

from __future__ import annotations

import hashlib
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from layer import fetch
from layer.catalogue import Entry, File

BODY = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(BODY).hexdigest()


@dataclass
class Hub:
    """What the server was asked, and how it answers the next requests: a fault, or None to answer well."""

    faults: list[str] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def hub() -> Iterator[Hub]:
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append((self.path, wanted))
            fault = state.faults.pop(0) if state.faults else None
            begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and fault != "no range" else 0
            if fault and fault.isdigit():
                self.send_error(int(fault))
            elif fault in {"redirect", "loop"}:
                self.send_response(302)
                self.send_header("Location", self.path if fault == "loop" else "/store" + self.path)
                self.end_headers()
            elif begin >= len(BODY):
                self.send_error(416)
            else:
                self.send_response(206 if begin else 200)
                if fault != "no length":
                    self.send_header("Content-Length", str(len(BODY) - begin))
                self.end_headers()
                rest = {"wrong": b"?" * len(BODY), "too long": BODY + b"more"}.get(fault or "", BODY)[begin:]
                self.wfile.write(rest[: len(rest) // 2] if fault == "truncated" else rest)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def get(hub: Hub, tmp_path: Path) -> Callable[..., Path]:
    def download(**options: object) -> Path:
        given = {"size": len(BODY), "sha256": SHA256, "pause": 0.0, **options}
        return fetch.download(f"{hub.url}/file", tmp_path / "file", **given)  # type: ignore[arg-type]

    return download


def entry(**file: object) -> Entry:
    files = (File("onnx/model.onnx", **file),)  # type: ignore[arg-type]
    return Entry("m", "", "", ("en",), "bert", 512, "", 1769, source="owner/repo", revision="a" * 40, files=files)


def test_a_file_arrives_whole_and_leaves_no_part(get: Callable[..., Path], tmp_path: Path) -> None:
    assert get().read_bytes() == BODY
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_that_is_here_already_is_not_asked_for_again(get: Callable[..., Path], hub: Hub) -> None:
    get()
    get()
    assert len(hub.asked) == 1


@pytest.mark.parametrize("fault", ["truncated", "503", "429"])
def test_a_passing_fault_is_survived(get: Callable[..., Path], hub: Hub, fault: str) -> None:
    hub.faults = [fault, fault]
    assert get().read_bytes() == BODY
    assert len(hub.asked) == 3


def test_a_truncated_body_is_gone_on_with_from_where_it_ended(get: Callable[..., Path], hub: Hub) -> None:
    hub.faults = ["truncated"]
    get()
    assert hub.asked[1] == ("/file", f"bytes={len(BODY) // 2}-")


def test_a_later_run_goes_on_with_what_an_earlier_one_left(get: Callable[..., Path], hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(BODY[:1000])
    assert get().read_bytes() == BODY
    assert hub.asked == [("/file", "bytes=1000-")]


def test_a_server_without_ranges_is_read_from_the_beginning(get: Callable[..., Path], hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(BODY[:1000])
    hub.faults = ["no range"]
    assert get().read_bytes() == BODY


def test_a_part_that_is_whole_needs_only_its_digest(get: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(BODY)
    assert get().read_bytes() == BODY


def test_a_part_of_something_else_is_thrown_away_and_downloaded_again(
    get: Callable[..., Path], hub: Hub, tmp_path: Path
) -> None:
    (tmp_path / "file.part").write_bytes(b"?" * 1000)
    assert get().read_bytes() == BODY
    assert [wanted for _, wanted in hub.asked] == ["bytes=1000-", None]


def test_a_redirect_to_the_store_is_followed(get: Callable[..., Path], hub: Hub) -> None:
    hub.faults = ["redirect"]
    assert get().read_bytes() == BODY
    assert hub.asked[-1][0] == "/store/file"


@pytest.mark.parametrize(
    "case",
    [
        (["truncated"] * 5, {"size": None}, "ended after"),
        (["503"] * 5, {}, "answered 503"),
        (["404"], {}, "answered 404"),
        (["loop"] * 30, {}, "answered 302"),
        (["wrong"], {}, "its SHA-256 is"),
        (["no length"], {"size": 1000}, "more than 1000 bytes"),
        ([], {"size": 1000}, "the server has"),
    ],
)
def test_a_lasting_fault_is_said_and_nothing_takes_the_files_name(
    get: Callable[..., Path], hub: Hub, tmp_path: Path, case: tuple[list[str], dict[str, object], str]
) -> None:
    hub.faults, options, said = case
    with pytest.raises(fetch.FetchError, match=said):
        get(**options)
    assert not (tmp_path / "file").exists()


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(fetch.FetchError, match="connection failed"):
        fetch.download("http://127.0.0.1:9/file", tmp_path / "file", pause=0.0)


def test_an_address_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(fetch.FetchError, match="not an http or https address"):
        fetch.download("file:///etc/hostname", tmp_path / "file")


def test_a_redirect_from_https_to_http_is_refused() -> None:
    from urllib.request import Request

    with pytest.raises(fetch.FetchError, match="less safe"):
        fetch._Redirects().redirect_request(Request("https://a.example/x"), None, 302, "", {}, "http://b.example/x")


def test_the_hubs_address_names_source_revision_and_path(hub: Hub, tmp_path: Path) -> None:
    (path,) = fetch.fetch(entry(sha256=SHA256, published="here"), tmp_path / "new", hub=hub.url)
    assert path == tmp_path / "new" / "model.onnx"
    assert hub.asked == [(f"/owner/repo/resolve/{'a' * 40}/onnx/model.onnx", None)]


def test_an_unpinned_file_is_refused_before_anything_is_asked(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(fetch.FetchError, match=r"not pinned.*onnx/model\.onnx.*ALLOW_UNPINNED=1"):
        fetch.fetch(entry(), tmp_path, hub=hub.url)
    assert hub.asked == []


def test_an_unpinned_file_is_taken_when_asked_and_its_digest_shown(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch.fetch(entry(), tmp_path, allow_unpinned=True, hub=hub.url)
    assert SHA256 in capsys.readouterr().err


def archive(path: Path, members: dict[str, bytes | tuple[int, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in members.items():
            mode, data = content if isinstance(content, tuple) else (stat.S_IFREG | 0o644, content)
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(info, data)
    return path


def test_an_archive_of_one_folder_is_that_folder_without_what_macos_adds(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"m/config.json": b"{}", "__MACOSX/m/._config.json": b"x", "m/.DS_Store": b"x"})
    folder = fetch.extract(path, tmp_path / "out")
    assert folder == tmp_path / "out" / "m"
    assert [inside.name for inside in folder.iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"ok": b"", "../evil": b""}, "leave its folder"),
        ({"a/../../evil": b""}, "leave its folder"),
        ({"/etc/evil": b""}, "leave its folder"),
        ({"..\\evil": b""}, "leave its folder"),
        ({"C:evil": b""}, "leave its folder"),
        ({"link": (stat.S_IFLNK | 0o777, b"/etc")}, "neither a file nor a folder"),
        ({"pipe": (stat.S_IFIFO | 0o644, b"")}, "neither a file nor a folder"),
        ({"bomb": b"\0" * 2_000_000}, "more than 1000000 bytes"),
        ({"a": b"\0" * 600_000, "b": b"\0" * 600_000}, "more than 1000000 bytes"),
    ],
)
def test_a_hostile_archive_is_refused_and_leaves_nothing(
    tmp_path: Path, members: dict[str, bytes | tuple[int, bytes]], said: str
) -> None:
    path = archive(tmp_path / "a.zip", members)
    with pytest.raises(fetch.FetchError, match=said):
        fetch.extract(path, tmp_path / "out", bound=1_000_000)
    assert {inside.name for inside in tmp_path.iterdir()} == {"a.zip"}


def test_an_archive_that_lies_about_a_size_is_stopped_while_it_unpacks(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", {"bomb": b"\0" * 2_000_000})
    data = path.read_bytes().replace((2_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(data)
    with pytest.raises(fetch.FetchError):
        fetch.extract(path, tmp_path / "out", bound=1_000_000)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("cut", [0, 10, 100])
def test_a_broken_archive_is_said_to_be_one(tmp_path: Path, cut: int) -> None:
    path = archive(tmp_path / "a.zip", {"m/config.json": b"{}" * 500})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(fetch.FetchError, match="cannot be unpacked"):
        fetch.extract(path, tmp_path / "out")
