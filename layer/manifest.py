"""What an artefact says of itself: versions, sizes and the SHA-256 of every file, in ``manifest/<artefact>.json``."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def location(root: Path, artefact: str) -> Path:
    """Where the manifest of an artefact lies: layers are merged under one root, so each has a name of its own."""
    return root / "manifest" / f"{artefact}.json"


def files_of(root: Path) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 of every file below ``root`` by its path, sorted; manifests leave themselves out."""
    return {
        path.relative_to(root).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.parent != root / "manifest"
    }


def write(root: Path, artefact: str, **says: object) -> dict[str, Any]:
    """Write the manifest of the artefact at ``root`` and return it; ``says`` are its further keys."""
    files = files_of(root)
    manifest = {"artefact": artefact, **says, "bytes": sum(file["bytes"] for file in files.values()), "files": files}
    path = location(root, artefact)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def differences(root: Path) -> list[str]:
    """Return a line for every file below ``root`` that is missing, changed or unknown to the manifests there."""
    manifests = sorted((root / "manifest").glob("*.json"))
    if not manifests:
        return [f"{root} holds no manifest"]
    said = {name: file for path in manifests for name, file in json.loads(path.read_text())["files"].items()}
    found = files_of(root)
    return [
        f"{name} is {'missing' if name not in found else 'not in the manifest' if name not in said else 'changed'}"
        for name in sorted(said.keys() | found.keys())
        if said.get(name) != found.get(name)
    ]
