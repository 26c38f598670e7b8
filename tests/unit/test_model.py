"""A model directory is loaded as its manifest says, or refused in one line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from handler.errors import ModelError
from handler.model import Manifest, load

ROOT = Path(__file__).resolve().parents[2]
NANO = ROOT / "layer" / "nano"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return shutil.copytree(NANO, tmp_path / "model")


def test_the_shipped_model_loads() -> None:
    model = load(NANO)
    assert model.manifest.architecture == "bert"
    assert model.tokens.special_id("[CLS]") != model.tokens.special_id("[SEP]")


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    manifest = Manifest("a", "b", window=64, temperature=2.5, bias=-0.5, files={"x": {"bytes": 1, "sha256": "0"}})
    manifest.write(tmp_path, licence="Apache-2.0")
    assert Manifest.read(tmp_path) == manifest
    assert json.loads((tmp_path / "manifest.json").read_text())["licence"] == "Apache-2.0"


@pytest.mark.parametrize("name", ["model.onnx", "vocab.txt", "manifest.json"])
@pytest.mark.parametrize("fault", ["missing", "cut", "scrambled"])
def test_a_missing_or_corrupt_file_is_refused_in_one_line(copy: Path, name: str, fault: str) -> None:
    path = copy / name
    content = path.read_bytes()
    if fault == "missing":
        path.unlink()
    elif fault == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        path.write_bytes(b"\xff" * len(content))
    with pytest.raises(ModelError) as raised:
        load(copy)
    assert "\n" not in raised.value.message
    assert name.split(".", maxsplit=1)[0] in raised.value.message or fault == "scrambled"


def test_an_unknown_architecture_is_named(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "architecture": "abacus"}))
    with pytest.raises(ModelError, match="'abacus'"):
        load(copy)


def test_importing_the_engine_writes_nothing_and_starts_no_thread(tmp_path: Path) -> None:
    program = """
import threading, pathlib, os
from pathlib import Path
from handler.model import load
from handler.batching import micro_batches
from handler.contract import Chunking
model = load(Path(os.environ["MODEL"]))
encoder = model.encoder()
query = encoder.encode_query("rain")
for batch in micro_batches(query, list(encoder.chunks(query, [(0, "hills")], Chunking()))):
    model.logits(batch)
tasks = Path("/proc/self/task")
print(len(list(tasks.iterdir())) if tasks.exists() else threading.active_count())
"""
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "TMPDIR": str(home), "XDG_CACHE_HOME": str(home), "MODEL": str(NANO)}
    done = subprocess.run(
        [sys.executable, "-B", "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1"
    assert list(home.iterdir()) == []
