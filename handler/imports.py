"""How modules are imported at a cold start: from one file per folder, and some of them later.

Importing a module from a file of its own costs some five system calls and, on a machine that has just started, a read
from the disk or the network for each of two hundred modules. :mod:`layer.bytecode` puts the bytecode of all modules of
a folder into one; where there is none, or one of another Python, modules are imported as ever. The file also names the
shared libraries that will be loaded: the system reads them while Python is still busy with other modules.
"""

from __future__ import annotations

import marshal
import os
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import MAGIC_NUMBER, spec_from_file_location
from threading import RLock
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import CodeType

# What numpy, Powertools and our own modules import at their own import, and a ranking that goes well never touches.
# With what these import in turn it is 6 % of a start.
LATER = frozenset(
    {
        "ast",
        "base64",
        "pickle",
        "random",
        "aws_lambda_powertools.utilities.jmespath_utils",
        "fastjsonschema",
        "numpy._core._internal",
        "numpy.lib.format",
        "numpy.lib.scimath",
    }
)
# The number grows with the format: a function may meet the layer of another release, and then finds no file of its own.
NAME = "bytecode-1.bin"
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
    """Finds the modules of ``LATER``, which run when an attribute that only running gives them is first asked for.

    With ``importlib.util.LazyLoader`` any attribute would do, and every ``import`` of a module that is already there
    looks at its ``__spec__``: what two modules import would run at once.
    """

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        """Return how to load the module, as the other finders say it, or None where it is none of them."""
        if name not in LATER:
            return None
        found = (finder.find_spec(name, path) for finder in sys.meta_path if finder is not Later)
        spec = next(filter(None, found), None)
        if spec and spec.loader:
            spec.loader = _LaterLoader(spec.loader)  # type: ignore[assignment]  # importlib.abc takes 2 ms to import
        return spec


class _LaterLoader:
    """Loads a module without running it."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader
        self.begun = False
        self.running = RLock()

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self.loader
        module.__class__ = _LaterModule


class _LaterModule(ModuleType):
    """A module that was imported and has not run yet, or not to its end."""

    def __getattr__(self, name: str) -> object:
        if name == "__path__":  # asked of everything that is imported; a package has it before it runs
            raise AttributeError(name)
        spec = self.__spec__
        if spec and isinstance(later := spec.loader, _LaterLoader):
            with later.running:  # for another thread's whole run
                if not later.begun:
                    later.begun = True
                    later.loader.exec_module(self)
                    spec.loader = later.loader
                    self.__class__ = ModuleType
        return ModuleType.__getattribute__(self, name)


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
