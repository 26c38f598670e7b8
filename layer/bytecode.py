"""Bytecode compiled ahead, never checked against sources, in one file per artefact for :mod:`handler.imports`.

A Lambda layer's files carry the zip's time stamps of 1980, so ordinary ``.pyc`` files never match and every cold start
would compile again: 289 ms of imports instead of 119.
"""

from __future__ import annotations

import marshal
import os
import shutil
import subprocess
import sys
from importlib.util import MAGIC_NUMBER, source_from_cache
from pathlib import Path
from typing import TYPE_CHECKING

from handler.imports import NAME, Head, Index

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADER = 16  # bytes of a .pyc file before its code: https://peps.python.org/pep-0552/
HOMES = (
    "~/.pyenv/versions",
    "~/.local/share/uv/python",
    "~/.local/share/mise/installs/python",
    "~/.asdf/installs/python",
)


def find_interpreter(minor: str, uv_folder: Path) -> str | None:
    """Return a CPython of exactly this minor version: this one, one on the machine, or one that uv can get."""
    homes = [path for home in HOMES for path in Path(home).expanduser().glob(f"*{minor}.*/bin/python{minor}")]
    managed = sorted(uv_folder.glob(f"cpython-{minor}.*/bin/python{minor}"))
    for candidate in (sys.executable, shutil.which(f"python{minor}"), *homes, *managed):
        if candidate and _is_cpython(str(candidate), minor):
            return str(candidate)
    print(f"No Python {minor} is at hand to compile for that runtime: asking uv for one", flush=True)
    uv = Path(sys.executable).with_name("uv")
    environment = os.environ | {"UV_PYTHON_INSTALL_DIR": str(uv_folder)}
    if (
        uv.exists()
        and not subprocess.run([uv, "python", "install", "-q", minor], env=environment, check=False).returncode
    ):
        return str(next(uv_folder.glob(f"cpython-{minor}.*/bin/python{minor}"), "")) or None
    return None


def _is_cpython(candidate: str, minor: str) -> bool:
    """Whether running ``candidate`` shows that version. A shim on PATH may stand for what is not installed."""
    question = "import platform, sys; print(platform.python_implementation(), '%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run([candidate, "-c", question], capture_output=True, text=True, check=False, timeout=30)
    except OSError:
        return False
    return answer.stdout.split() == ["CPython", minor]


def compile_tree(interpreter: str, root: Path, runtime_root: str, *, bare: bool = False) -> str:
    """Compile every module below ``root`` for files that will lie at ``runtime_root``; return the version that did it.

    ``bare`` bytecode has no docstrings and no assertions (``python -OO``), a third of what would be read at the
    start. One process, in sorted order, with a fixed hash seed: the same sources give the same bytes.
    """
    options = ["--invalidation-mode", "unchecked-hash", "-q", "-j", "1", "-s", str(root), "-p", runtime_root, str(root)]
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"}
    level = "2" if bare else "0"
    subprocess.run([interpreter, "-m", "compileall", "-o", level, *options], env=environment, check=True)
    version = subprocess.run([interpreter, "-VV"], env=environment, check=True, capture_output=True, text=True)
    return version.stdout.split()[1]


def gather(root: Path, *, apart: Sequence[str] = (), ahead: Sequence[str] = ()) -> None:
    """Put the code of all ``.pyc`` files below ``root`` into one file, in their place.

    Modules ``apart``, imported before that file is found, keep theirs. ``ahead`` are patterns of the shared libraries
    that a start loads, in that order; none needs to match.
    """
    libraries = [str(path.relative_to(root)) for pattern in ahead for path in sorted(root.glob(pattern))]
    index: Index = {}
    codes = bytearray()
    magic = b""
    for compiled in sorted(root.rglob("__pycache__/*.pyc")):
        source = Path(source_from_cache(compiled)).relative_to(root)
        name = ".".join(source.parent.parts if source.stem == "__init__" else source.with_suffix("").parts)
        if name in apart:
            continue
        content = compiled.read_bytes()
        magic, code = content[: len(MAGIC_NUMBER)], content[HEADER:]
        index[name] = (str(source), len(codes), len(code))
        codes += code
        compiled.unlink()
    for folder in list(root.rglob("__pycache__")):
        if not any(folder.iterdir()):
            folder.rmdir()
    head: Head = (index, libraries)
    described = marshal.dumps(head, 2)  # the last version whose bytes depend on the values alone
    (root / NAME).write_bytes(magic + len(described).to_bytes(8, "little") + described + codes)
