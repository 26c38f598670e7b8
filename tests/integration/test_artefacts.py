"""What was built: small enough, complete, reproducible, and as its manifest and bill of materials say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from handler.imports import NAME, Bytecode
from layer import archive, build, bytecode, manifest, wheels
from layer.target import LOCKS, MINORS, TARGETS, Target
from tests.integration.sandbox import BUILT, ROOT

LOCAL = Target.local()


def said(artefact: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(manifest.location(BUILT / artefact, artefact).read_text())
    return found


@pytest.mark.parametrize(("artefact", "megabytes"), [("dependencies", 95), ("model", 5), ("function", 1)])
def test_every_artefact_is_small_enough(artefact: str, megabytes: float) -> None:
    assert said(artefact)["bytes"] <= megabytes * 1e6


@pytest.mark.parametrize("artefact", build.ARTEFACTS)
def test_every_file_is_as_the_manifest_says(artefact: str) -> None:
    assert manifest.differences(BUILT / artefact) == []


def test_a_changed_a_missing_and_an_unknown_file_are_found(tmp_path: Path) -> None:
    shutil.copytree(BUILT / "function", tmp_path / "function")
    (tmp_path / "function" / "handler" / "app.py").write_text("changed = True\n")
    (tmp_path / "function" / "handler" / "errors.py").unlink()
    (tmp_path / "function" / "handler" / "unknown.py").touch()
    assert manifest.differences(tmp_path / "function") == [
        "handler/app.py is changed",
        "handler/errors.py is missing",
        "handler/unknown.py is not in the manifest",
    ]


@pytest.mark.parametrize("artefact", build.ARTEFACTS)
def test_two_builds_give_the_same_bytes(artefact: str, tmp_path: Path) -> None:
    sums = set()
    for number in range(2):
        build.build(artefact, tmp_path / f"{number}", LOCAL, ROOT / "layer" / "nano")
        sums.add(archive.pack(tmp_path / f"{number}", tmp_path / f"{number}.zip"))
    assert len(sums) == 1


def test_the_function_holds_the_handler_and_no_tests() -> None:
    files = set(said("function")["files"])
    assert "handler/app.py" in files
    assert {name.split("/", 1)[0] for name in files} - {NAME} == {"handler", "LICENSE", "sbom"}
    assert not [name for name in files if "test" in name]


def test_every_package_has_its_licence_text_and_a_component_in_the_bill_of_materials() -> None:
    about = said("dependencies")
    texts = [name for name in about["files"] if re.search(r"LICEN[CS]E", name)]
    bill = json.loads((BUILT / "dependencies" / "sbom" / "dependencies.cdx.json").read_text())
    components = {(part["name"], part["version"]): part for part in bill["components"]}
    for package in about["packages"]:
        name = package["name"].replace("-", "_")
        assert [text for text in texts if re.search(rf"/{name}(-[\d.]+\.dist-info)?/", text)], package["name"]
        part = components[package["name"], package["version"]]
        assert part["hashes"] == [{"alg": "SHA-256", "content": package["wheel_sha256"]}]
        assert part["licenses"]
        assert part["purl"] == f"pkg:pypi/{package['name']}@{package['version']}"


def test_the_bill_of_materials_names_the_model_and_its_hashes() -> None:
    bill = json.loads((BUILT / "model" / "sbom" / "model.cdx.json").read_text())
    (model,) = (part for part in bill["components"] if part["type"] == "machine-learning-model")
    hashes = {entry["name"]: entry["value"] for entry in model["properties"]}
    assert hashes["sha256:model/model.onnx"] == said("model")["files"]["model/model.onnx"]["sha256"]


def test_every_removal_has_a_reason_and_still_removes_something() -> None:
    cache = ROOT / ".build" / "wheels" / LOCAL.lock.stem
    names = {name for wheel in wheels.download(LOCAL, cache) for name in _names(wheel)}
    for entry in [*wheels.PRUNING["remove"], wheels.PRUNING["empty"], wheels.PRUNING["strip"]]:
        assert entry["why"].endswith(".")
        for pattern in entry["paths"]:
            expression = re.escape(pattern).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
            assert any(re.match(rf"{expression}(/|$)", name) for name in names), f"{pattern} matches nothing"


def _names(wheel: Path) -> list[str]:
    import zipfile

    with zipfile.ZipFile(wheel) as opened:
        return opened.namelist()


def test_stripping_refuses_what_is_no_library(tmp_path: Path) -> None:
    path = tmp_path / "x.so"
    path.write_bytes(b"no ELF")
    with pytest.raises(ValueError, match="not a 64-bit"):
        wheels.strip(path)


def test_a_model_that_is_not_what_its_manifest_says_is_not_packed(tmp_path: Path) -> None:
    source = tmp_path / "model"
    shutil.copytree(ROOT / "layer" / "nano", source)
    (source / "vocab.txt").write_text("changed\n")
    with pytest.raises(build.BuildError, match=r"vocab\.txt does not have the SHA-256"):
        build.build("model", tmp_path / "out", LOCAL, source)
    with pytest.raises(build.BuildError, match="is not a model directory"):
        build.build("model", tmp_path / "out", LOCAL, tmp_path)


def test_bytecode_is_compiled_by_the_very_minor_or_not_at_all(tmp_path: Path) -> None:
    found = bytecode.find_interpreter(LOCAL.minor, tmp_path)
    assert found is not None
    assert bytecode._is_cpython(found, LOCAL.minor)
    assert not bytecode._is_cpython(found, "3.1")


def test_bytecode_in_one_file_takes_the_place_of_sources(tmp_path: Path) -> None:
    package = tmp_path / "spoken"
    package.mkdir()
    (package / "__init__.py").write_text('"""A docstring."""\n\nassert False, "an assertion"\n')
    (package / "part.py").write_text("def fail(): raise ValueError(__file__)\n")
    (tmp_path / "early.py").write_text("")
    found = bytecode.find_interpreter(LOCAL.minor, tmp_path)
    assert found is not None
    bytecode.compile_tree(found, tmp_path, "/opt/python", bare=True)
    bytecode.gather(tmp_path, apart=("early",))
    assert [path.stem.split(".")[0] for path in tmp_path.rglob("*.pyc")] == ["early"]
    (package / "__init__.py").write_text("raise ImportError('read from its source')\n")  # never looked at again
    question = f"""
import sys; sys.path.append({str(build.ROOT)!r}); import handler
import spoken, importlib; print(spoken.__doc__, spoken.__path__)
import spoken.part, traceback
try: spoken.part.fail()
except ValueError: traceback.print_exc(file=sys.stdout)
(package := importlib.reload(spoken)); print(package.__name__)
"""
    done = subprocess.run([found, "-c", question], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"None ['{package}']\n")
    assert 'File "/opt/python/spoken/part.py", line 1, in fail' in done.stdout
    assert f"ValueError: {package}/part.py" in done.stdout
    assert done.stdout.endswith("spoken\n")


def test_bytecode_of_another_python_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"3.1\n" + bytes(8))
    with pytest.raises(ImportError, match="of another Python"):
        Bytecode(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        Bytecode(str(tmp_path / "none"))


def test_what_is_emptied_is_still_imported_and_does_nothing() -> None:
    for path in wheels.matches(BUILT / "dependencies" / "python", wheels.PRUNING["empty"]["paths"]):
        assert path.read_bytes() == b""


def test_there_is_a_lock_for_every_runtime_and_none_is_older_than_arm64_can_bear() -> None:
    assert {target.lock for target in TARGETS} == set(LOCKS.glob("*.txt"))
    assert set(MINORS) == {"3.12", "3.13", "3.14"}
    for lock in LOCKS.glob("*.txt"):
        pins = dict(line.split(" ", 1)[0].split("==") for line in lock.read_text().splitlines())
        # 1.20 to 1.25.1 abort when imported on arm64 Lambda (microsoft/onnxruntime#10038).
        assert tuple(map(int, pins["onnxruntime"].split(".")[:2])) >= (1, 26)
        assert all(" --hash=sha256:" in line for line in lock.read_text().splitlines())


def test_what_is_tested_is_what_ships() -> None:
    tested = (ROOT / "tests" / "locks" / "runtime.txt").read_text()
    for line in (LOCKS / "3.13-arm64.txt").read_text().splitlines():
        assert line.split(" ", 1)[0] in tested


def test_every_group_has_a_lock_that_names_hashes_and_no_place() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    locks = {path.stem: path.read_text() for path in (ROOT / "tests" / "locks").glob("*.txt")}
    assert groups.keys() == locks.keys()
    for name, text in [*locks.items(), *((path.name, path.read_text()) for path in LOCKS.glob("*.txt"))]:
        assert not re.search(r"https?://|file:|--index|--find-links", text), name
