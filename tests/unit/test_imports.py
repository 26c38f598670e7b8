"""A module for later runs once, when something of it is needed, and not when it is imported."""

from __future__ import annotations

import importlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from handler import imports

SOURCE = """
import sys, time
sys.runs_of_later_module.append(__name__)
time.sleep(0.05)
import later_helper
VALUE = later_helper.VALUE + 1

def __getattr__(name):
    if name == "computed":
        return VALUE + 1
    raise AttributeError(name)
"""
HELPER = """
import later_module
VALUE = 1 if not hasattr(later_module, "VALUE") else 2
"""


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of the later module, once for every time it ran. It imports a module that looks at it."""
    (tmp_path / "later_helper.py").write_text(HELPER)
    (tmp_path / "later_module.py").write_text(SOURCE)
    ran: list[str] = []
    monkeypatch.setattr(sys, "runs_of_later_module", ran, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", [imports.Later, *sys.meta_path])
    monkeypatch.setattr(imports, "LATER", frozenset({"later_module"}))
    for name in ("later_module", "later_helper"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return ran


def test_importing_it_twice_does_not_run_it(runs: list[str]) -> None:
    for _ in range(2):
        module = importlib.import_module("later_module")
        assert module.__name__ == "later_module"
        assert module.__spec__
        assert not hasattr(module, "__path__")
    assert runs == []


def test_the_first_attribute_runs_it_once_and_leaves_a_module_like_any_other(runs: list[str]) -> None:
    module = importlib.import_module("later_module")
    assert module.VALUE == 2
    assert module.computed == 3
    assert not hasattr(module, "nonsense")
    assert runs == ["later_module"]
    assert type(module) is ModuleType
    assert module.__spec__
    assert module.__spec__.loader is module.__loader__


def test_whoever_asks_while_another_thread_runs_it_waits_for_the_end(runs: list[str]) -> None:
    module = importlib.import_module("later_module")
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: module.VALUE, range(4))) == [2] * 4
    assert runs == ["later_module"]
