"""Assemble what is deployed: the dependency layer, the model layer and the function.

`python -m layer.build ARTEFACT OUT` is what SAM's makefile build calls, through the targets of the root Makefile.
The same sources give the same bytes on every machine that has an interpreter of the runtime's minor version.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tomllib
from email.parser import HeaderParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layer import bytecode, manifest, sbom, wheels
from layer.catalogue import MODEL_ROOM
from layer.target import MACHINES, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".build"
APART = ("handler", "handler.imports")  # imported before the one file of bytecode is found
# The large libraries that every start loads, nearly whole: read while Python imports Powertools. Not the tokenizers
# library, which only some models need.
AHEAD = ("numpy/_core/_multiarray_umath.*.so", "numpy.libs/*openblas*", "onnxruntime/capi/onnxruntime_*.so")
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


class BuildError(Exception):
    """What is to be packed is not what it should be; the message says which file and why."""


def dependencies(out: Path, target: Target, _models: Sequence[Path]) -> None:
    """Put the packages that a running function imports into ``out/python``, with their licences and bytecode."""
    python = out / "python"
    found = wheels.download(target, CACHE / "wheels" / target.lock.stem)
    wheels.unpack(found, python)
    packages = [_describe(metadata, target) for metadata in sorted(python.glob("*.dist-info/METADATA"))]
    compiled = _compile(python, "/opt/python", target, bare=True)
    _finish(out, "dependencies", target, bytecode=compiled, packages=packages)


def model(out: Path, target: Target, sources: Sequence[Path]) -> None:
    """Put the first model directory into ``out/model`` and any others into ``out/models``, by their names.

    Every file is checked against the model's own manifest.
    """
    first, *more = sources
    identity = _copy_model(first, out / "model")
    others = [_copy_model(source, out / "models" / source.resolve().name) for source in more]
    _finish(out, "model", target, model=identity, **({"models": others} if others else {}))


def _copy_model(source: Path, into: Path) -> dict[str, str]:
    """Copy one model directory and return what the layer's manifest says of it."""
    try:
        said = json.loads((source / "manifest.json").read_text())
    except (OSError, ValueError) as error:
        raise BuildError(f"{source} is not a model directory: its manifest.json cannot be read") from error
    into.mkdir(parents=True)
    documents = [path.name for path in source.iterdir() if path.suffix == ".md" or path.name.startswith("LICENSE")]
    for name in ["manifest.json", *said["files"], *sorted(documents)]:
        if Path(name).name != name or not (source / name).is_file():
            raise BuildError(f"{source / name} is missing")
        shutil.copyfile(source / name, into / name)
    for name, file in manifest.files_of(into).items():
        if name in said["files"] and said["files"][name]["sha256"] != file["sha256"]:
            raise BuildError(f"{source / name} does not have the SHA-256 that manifest.json gives")
    return {"name": said["name"], "revision": said["revision"], "licence": said.get("licence", "Apache-2.0")}


def function(out: Path, target: Target, _models: Sequence[Path]) -> None:
    """Put ``handler/`` and its bytecode into ``out``: no tests, no caches, nothing else."""
    shutil.copytree(ROOT / "handler", out / "handler", ignore=shutil.ignore_patterns("__pycache__", ".*", "*.md"))
    shutil.copyfile(ROOT / "LICENSE", out / "LICENSE")
    _finish(out, "function", target, bytecode=_compile(out, "/var/task", target))


ARTEFACTS = {"dependencies": dependencies, "model": model, "function": function}


def build(artefact: str, out: Path, target: Target, *models: Path) -> dict[str, Any]:
    """Make ``artefact`` in the folder ``out``, which is emptied first, and return its manifest."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    ARTEFACTS[artefact](out, target, models)
    for path in [out, *out.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    made: dict[str, Any] = json.loads(manifest.location(out, artefact).read_text())
    if artefact == "model" and made["bytes"] > MODEL_ROOM:
        raise BuildError(
            f"the models take {made['bytes'] / 1e6:.0f} MB; Lambda unpacks 250 MiB of layers and function together, "
            f"of which {MODEL_ROOM / 1e6:.0f} MB are left for models"
        )
    print(f"{artefact}: {made['bytes'] / 1e6:.2f} MB in {len(made['files'])} files", flush=True)
    return made


def _compile(root: Path, runtime_root: str, target: Target, *, bare: bool = False) -> str | None:
    interpreter = bytecode.find_interpreter(target.minor, CACHE / "python")
    if interpreter is None:
        print(
            f"No Python {target.minor} could be had: {root.name} ships without bytecode and starts slower",
            file=sys.stderr,
        )
        return None
    version = bytecode.compile_tree(interpreter, root, runtime_root, bare=bare)
    bytecode.gather(root, apart=APART, ahead=AHEAD)
    return version


def _describe(metadata: Path, target: Target) -> dict[str, str]:
    """What the manifest says of one package; a package whose wheel brings no licence text gets the one it names."""
    headers = HeaderParser().parsestr(metadata.read_text())
    name = headers["Name"].lower().replace("_", "-")
    licence = headers["License-Expression"] or headers["License"] or _classified(headers.get_all("Classifier") or [])
    texts = [path for path in metadata.parent.parent.rglob("LICENSE*") if _belongs(path, metadata)]
    if not texts:
        if "Apache" not in licence:
            raise BuildError(f"{name} brings no licence text")
        (metadata.parent / "licenses").mkdir()
        shutil.copyfile(ROOT / "LICENSE", metadata.parent / "licenses" / "LICENSE")
    (pin,) = (line for line in target.lock.read_text().splitlines() if line.startswith(f"{name}=="))
    return {
        "name": name,
        "version": headers["Version"],
        "licence": licence,
        "wheel_sha256": pin.rsplit("sha256:", 1)[1],
    }


def _classified(classifiers: list[str]) -> str:
    return next((line.rsplit(" :: ", 1)[1] for line in classifiers if line.startswith("License :: ")), "unknown")


def _belongs(licence: Path, metadata: Path) -> bool:
    package = metadata.parent.name.split("-")[0]
    return metadata.parent in licence.parents or licence.parent.name == package


def _finish(out: Path, artefact: str, target: Target, **says: object) -> None:
    common = {"version": VERSION, "architecture": target.architecture, "python": target.minor, **says}
    described = manifest.write(out, artefact, **common)
    bill = out / "sbom" / f"{artefact}.cdx.json"
    bill.parent.mkdir()
    bill.write_text(sbom.render(described))
    manifest.write(out, artefact, **common)


def _directory(model: Path) -> Path:
    """A model directory, or the one that `make model` made under this name."""
    made = CACHE / "models" / model
    return made if not model.exists() and made.is_dir() else model


def main() -> None:
    """Build one artefact, as the command line says."""
    local = Target.local()
    parser = argparse.ArgumentParser(
        prog="python -m layer.build", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("artefact", choices=ARTEFACTS)
    parser.add_argument("out", type=Path, help="folder to make; it is emptied first")
    parser.add_argument("--architecture", choices=MACHINES, default=local.architecture)
    parser.add_argument("--python", default=local.minor, help="minor version of the Lambda runtime")
    parser.add_argument("--model", type=Path, default=ROOT / "layer" / "nano", help="model directory")
    parser.add_argument("--also", type=Path, nargs="*", default=[], help="further models that the function serves")
    asked = parser.parse_args()
    target = Target(asked.architecture, asked.python)
    if not target.lock.exists():
        parser.error(f"there is no lock for python{target.minor} on {target.architecture}: see layer/target.py")
    try:
        build(asked.artefact, asked.out.absolute(), target, *map(_directory, [asked.model, *asked.also]))
    except BuildError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
