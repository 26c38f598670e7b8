"""The wheels of one target: downloaded by hash, unpacked, and pruned of what a running function never reads."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layer.target import Target

PRUNING = tomllib.loads(Path(__file__).with_name("prune.toml").read_text())


def download(target: Target, cache: Path) -> list[Path]:
    """Return the wheels that ``target.lock`` pins, from ``cache`` where it has them all, else through pip.

    Either way every file has the hash of the lock; pip refuses what has not.
    """
    pins = {line.rsplit("sha256:", 1)[1] for line in target.lock.read_text().splitlines()}
    if pins - {hashlib.sha256(path.read_bytes()).hexdigest() for path in cache.glob("*.whl")}:
        print(f"Downloading {len(pins)} wheels for python{target.minor} on {target.architecture}", flush=True)
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-qq",
            "--require-hashes",
            "--requirement",
            str(target.lock),
        ]
        subprocess.run([*command, *target.pip_options(), "--dest", str(cache)], check=True)
    return sorted(path for path in cache.glob("*.whl") if hashlib.sha256(path.read_bytes()).hexdigest() in pins)


def unpack(wheels: list[Path], into: Path) -> None:
    """Unpack the wheels side by side into the folder ``into``, pruned, emptied and stripped as ``prune.toml`` says."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(into)
    for entry in PRUNING["remove"]:
        for path in matches(into, entry["paths"]):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    for path in matches(into, PRUNING["empty"]["paths"]):
        path.write_bytes(b"")
    for path in matches(into, PRUNING["strip"]["paths"]):
        strip(path)


def matches(root: Path, patterns: list[str]) -> list[Path]:
    """Return what the patterns find below ``root``. Licences are never found: they are part of what must ship."""
    found = {path for pattern in patterns for path in root.glob(pattern)}
    return sorted(path for path in found if "licenses" not in path.parts)


def strip(path: Path) -> None:
    """Cut a 64-bit little-endian ELF library behind its last program segment, in place.

    What lies behind is section and symbol tables. This needs no binutils for the target's architecture, and gives the
    same bytes on every machine. Offsets are those of the ELF-64 object file format, "ELF header" and "Program header".

    Raises:
        ValueError: the file is not such a library.
    """
    image = bytearray(path.read_bytes())
    if image[:6] != b"\x7fELF\x02\x01":
        raise ValueError(f"{path.name} is not a 64-bit little-endian ELF file")
    (table,) = struct.unpack_from("<Q", image, 32)  # e_phoff
    size, count = struct.unpack_from("<HH", image, 54)  # e_phentsize, e_phnum
    segments = (struct.unpack_from("<8xQ16xQ", image, table + i * size) for i in range(count))  # p_offset, p_filesz
    end = max(offset + length for offset, length in segments)
    struct.pack_into("<Q", image, 40, 0)  # e_shoff
    struct.pack_into("<HH", image, 60, 0, 0)  # e_shnum, e_shstrndx
    path.write_bytes(image[:end])
