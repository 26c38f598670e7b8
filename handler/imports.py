"""How modules are imported at a cold start: our own from one file per folder, some of the standard library later.

Importing a module from a file of its own costs some five system calls and, on a machine that has just started, a read
from the disk or the network for each of two hundred modules. :mod:`layer.bytecode` puts the bytecode of all modules of
a folder into one; where there is none, or one of another Python, modules are imported as ever. The file also names the
shared libraries that will be loaded: the system reads them while Python is still busy with other modules.
"""

from __future__ import annotations

import marshal
import os
import sys
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import MAGIC_NUMBER, LazyLoader, spec_from_file_location
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType

# What numpy, Powertools' Logger and fastjsonschema import at their own import, and a ranking never touches.
LATER = frozenset({"ctypes", "gzip", "random", "ipaddress"})
NAME = "bytecode.bin"
# The file: Python's magic number, eight bytes for the head's length, the head, and the modules' code, both as marshal
# writes them. The head is an index, from a module's name to its source file, where its code begins after the head, and
# its length; and the paths of the shared libraries to read ahead, in the order in which they are loaded.
Index = dict[str, tuple[str, int, int]]
Head = tuple[Index, list[str]]


class _Loader(SourceFileLoader):
    """Loads one module, whose code is at ``place`` (start, length) of ``file``; its source is there for tracebacks."""

    def __init__(self, name: str, path: str, file: int, place: tuple[int, int]) -> None:
        super().__init__(name, path)
        self._file, self._place = file, place

    def get_code(self, _name: str) -> CodeType:
        """Return the module's code."""
        start, length = self._place
        code: CodeType = marshal.loads(os.pread(self._file, length, start))
        return code


class Bytecode:
    """Finds the modules of one folder; for ``sys.meta_path``."""

    def __init__(self, folder: str) -> None:
        """Open the folder's file.

        Raises:
            OSError: there is none.
            ImportError: it is of another Python.
        """
        self._folder = os.path.abspath(folder)
        self._file = os.open(os.path.join(self._folder, NAME), os.O_RDONLY)
        prefix = os.read(self._file, len(MAGIC_NUMBER) + 8)
        if not prefix.startswith(MAGIC_NUMBER):
            os.close(self._file)
            raise ImportError(f"{folder}: the bytecode is of another Python")
        _read_ahead(self._file)
        length = int.from_bytes(prefix[len(MAGIC_NUMBER) :], "little")
        head: Head = marshal.loads(os.read(self._file, length))
        self._index, self._libraries = head
        self._start = len(prefix) + length

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """Return how to load the module, or None where it is not of this folder."""
        found = self._index.get(name)
        if found is None:
            return None
        path, start, length = found
        path = os.path.join(self._folder, path)
        loader = _Loader(name, path, self._file, (self._start + start, length))
        package = [os.path.dirname(path)] if path.endswith("__init__.py") else None
        return spec_from_file_location(name, path, loader=loader, submodule_search_locations=package)

    def read_libraries_ahead(self) -> None:
        """Have the system start to read the shared libraries."""
        for path in self._libraries:
            try:
                file = os.open(os.path.join(self._folder, path), os.O_RDONLY)
            except OSError:
                continue  # whoever imports it will say so
            _read_ahead(file)
            os.close(file)


def _read_ahead(file: int) -> None:
    """Have the system start to read a whole file into its page cache; does not wait for it."""
    if hasattr(os, "posix_fadvise"):  # not on macOS
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_WILLNEED)


class Later:
    """Finds the modules of ``LATER``, which run when an attribute of theirs is first asked for."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """Return how to load the module, or None where it is none of them."""
        spec = PathFinder.find_spec(name, path) if name in LATER else None
        if spec and spec.loader:
            spec.loader = LazyLoader(spec.loader)
        return spec


def install() -> None:
    """Let every folder on ``sys.path`` that has such a file serve its modules, in the path's order.

    Where no folder has one, in development, nothing is changed.
    """
    found = []
    for path in sys.path:
        try:
            found.append(Bytecode(path))
        except (OSError, ImportError):
            continue
    if found:
        sys.meta_path[:0] = [Later, *found]
    for folder in found:
        folder.read_libraries_ahead()
