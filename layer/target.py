"""What a layer is built for: one architecture and one Python minor."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from pathlib import Path

MINORS = ("3.12", "3.13", "3.14")
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}  # Lambda's name for an architecture -> the wheels' name
LOCKS = Path(__file__).resolve().parent / "locks"


@dataclass(frozen=True, slots=True)
class Target:
    """A Lambda runtime: ``architecture`` is ``arm64`` or ``x86_64``, ``minor`` is ``3.13`` or the like."""

    architecture: str
    minor: str

    @classmethod
    def local(cls) -> Target:
        """Return the target that this very interpreter can run."""
        machine = platform.machine()
        architecture = {wheel: name for name, wheel in MACHINES.items()}.get(machine, machine)
        return cls(architecture, f"{sys.version_info.major}.{sys.version_info.minor}")

    @property
    def lock(self) -> Path:
        """The file that pins the wheels of this target's dependency layer."""
        return LOCKS / f"{self.minor}-{self.architecture}.txt"

    def pip_options(self) -> list[str]:
        """Return what makes pip take this target's wheels and no others, wherever it runs.

        Lambda's glibc is 2.34. Every platform tag is named, because pip takes the given ones literally: with one alone
        it fails, or picks an old version that happens to carry that tag.
        """
        machine = MACHINES[self.architecture]
        platforms = [f"--platform={tag}_{machine}" for tag in ("manylinux_2_28", "manylinux_2_17", "manylinux2014")]
        return [*platforms, f"--python-version={self.minor}", "--implementation=cp", "--only-binary=:all:", "--no-deps"]


TARGETS = tuple(Target(architecture, minor) for architecture in MACHINES for minor in ("3.11", *MINORS))
