"""What init loads, what it costs, what it leaves behind, and how it fails."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
from pathlib import Path

import pytest

from layer import build
from tests.integration.emulator import Emulator
from tests.integration.sandbox import BUILT, RUNTIME_PYTHON, Sandbox
from tests.integration.test_fronts import REQUEST

# What a direct request never needs. Each of them costs more to import than the model takes to load. Of botocore,
# Powertools imports the one small top module, to leave its name in user agents.
NEVER_AT_INIT = [
    "boto3",
    "botocore.session",
    "botocore.client",
    "pydantic",
    "mangum",
    "asyncio",
    "aws_xray_sdk",
    "urllib.request",
    "ssl",
    "http.client",
    "ctypes",
    "gzip",
    "jmespath",
    "typing_extensions",
    "urllib.parse",
    "ipaddress",
]


def test_init_imports_nothing_that_a_direct_request_does_not_need(sandbox: Sandbox) -> None:
    loaded = json.loads(sandbox.python("import handler.app, json, sys; print(json.dumps(sorted(sys.modules)))"))
    assert [name for name in NEVER_AT_INIT if name in loaded] == []
    assert {"handler.ranker", "onnxruntime", "numpy"} <= set(loaded)


OURS = {"handler", "onnxruntime", "numpy", "tokenizers", "aws_lambda_powertools", "fastjsonschema"}


def test_everything_that_init_imports_comes_from_the_artefacts_with_bytecode(sandbox: Sandbox) -> None:
    program = """
import json, sys
import handler.app
from handler.imports import Bytecode
found = {name for finder in sys.meta_path if isinstance(finder, Bytecode) for name in finder._index}
modules = [(name, m.__file__) for name, m in list(sys.modules.items()) if getattr(m, "__file__", None)]
print(json.dumps([[name, file, name in found] for name, file in modules]))
"""
    manifest = json.loads((BUILT / "dependencies" / "manifest" / "dependencies.json").read_text())
    places = (str(sandbox.seen_opt), sandbox.environment()["LAMBDA_TASK_ROOT"])
    ours = [row for row in json.loads(sandbox.python(program)) if row[0].split(".")[0] in OURS]
    assert ours
    for name, file, compiled in ours:
        assert file.startswith(places), f"{name} was found in {file}"
        if file.endswith(".py") and manifest["bytecode"] and name not in build.APART:
            assert compiled, f"{name} has no bytecode"


# Answers one request, the program's first argument.
RANK = """
import json, os, sys
from types import SimpleNamespace
import handler.app
context = SimpleNamespace(aws_request_id="1", get_remaining_time_in_millis=lambda: 9000)
handler.app.lambda_handler(json.loads(sys.argv[1]), context)
"""


def test_what_a_ranking_never_touches_is_imported_and_not_run(sandbox: Sandbox) -> None:
    program = f"""{RANK}
from handler.imports import LATER
print()
print(json.dumps({{name: type(sys.modules[name]).__name__ for name in LATER}}))
import numpy, pickle, random
from base64 import b64decode
print(random.randrange(1), pickle.loads(pickle.dumps(b64decode("Mg=="))).decode(), numpy.dtype("i4,f8").itemsize)
print(type(random).__name__, hasattr(random, "nonsense"))
"""
    *_, kinds, used, ran = sandbox.python(program, json.dumps(REQUEST)).splitlines()
    assert set(json.loads(kinds).values()) == {"_LaterModule"}
    assert used == "0 2 12"
    assert ran == "module False"


def test_every_large_library_that_a_ranking_loads_is_read_ahead_and_no_other(sandbox: Sandbox) -> None:
    program = f"""{RANK}
from handler.imports import Bytecode
ahead = [os.path.join(f._folder, p) for f in sys.meta_path if isinstance(f, Bytecode) for p in f._libraries]
mapped = {{line.split()[-1] for line in open("/proc/self/maps") if ".so" in line}}
print()
print(json.dumps([ahead, sorted(path for path in mapped if os.path.getsize(path) > 1e6)]))
"""
    *_, said = sandbox.python(program, json.dumps(REQUEST)).splitlines()
    ahead, loaded = json.loads(said)
    assert sorted(ahead) == [path for path in loaded if path.startswith(str(sandbox.seen_opt))]
    assert "_multiarray_umath" in ahead[0]


def test_importing_the_handler_costs_little_more_than_the_libraries_that_score(sandbox: Sandbox) -> None:
    program = """
import os, sys, time
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
began = time.perf_counter()
for name in sys.argv[1].split(","):
    __import__(name)
print(time.perf_counter() - began)
"""
    libraries, handler = "handler,onnxruntime,tokenizers", "handler.app"  # the package alone leads to the bytecode
    sandbox.python(program, handler)  # pages in both
    pairs = [[float(sandbox.python(program, what)) for what in (libraries, handler)] for _ in range(5)]
    ratio = statistics.median(whole for _, whole in pairs) / statistics.median(part for part, _ in pairs)
    print(f"importing the handler and loading its model: {ratio:.2f} times the libraries alone")
    assert ratio < 2.5


def test_nothing_is_written_and_no_thread_is_left(sandbox: Sandbox, tmp_path: Path) -> None:
    program = f"""{RANK}
print(len(os.listdir("/proc/self/task")), file=sys.stderr)
sys.exit(len(os.listdir("/proc/self/task")) - 1)
"""
    sandbox.python(program, json.dumps(REQUEST), HOME=str(tmp_path), TMPDIR=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_the_function_can_write_neither_its_code_nor_its_layers(sandbox: Sandbox) -> None:
    if not sandbox.faithful:
        pytest.skip("this machine grants no mount namespaces, so the artefacts lie where tests may write")
    program = """
import os
for place in (os.environ["LAMBDA_TASK_ROOT"], "/opt"):
    try:
        open(place + "/written", "w")
    except OSError as error:
        print(error.errno)
"""
    assert sandbox.python(program).split() == ["30", "30"]  # EROFS


def broken(tmp_path: Path, name: str, content: bytes | None) -> Sandbox:
    """A sandbox whose model layer has one file replaced, or left out."""
    model = tmp_path / "model"
    shutil.copytree(BUILT / "model", model)
    path = model / "model" / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    return Sandbox.of(model=model)


GRAPH = (BUILT / "model" / "model" / "model.onnx").stat().st_size if BUILT.exists() else 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.onnx", None),
        ("model.onnx", b"short"),
        ("model.onnx", b"\0" * GRAPH),
        ("vocab.txt", None),
        ("manifest.json", None),
        ("manifest.json", b"{"),
    ],
    ids=["no graph", "a cut graph", "a corrupt graph", "no vocabulary", "no manifest", "a cut manifest"],
)
def test_a_broken_model_fails_init_with_one_clear_line(name: str, content: bytes | None, tmp_path: Path) -> None:
    sandbox = broken(tmp_path, name, content)
    with Emulator(sandbox) as emulator:
        answer = emulator.invoke(REQUEST)
        assert answer["errorType"].endswith("ModelError")
        message = answer["errorMessage"]
    assert message.startswith("Model directory ")
    assert name in message or "cannot load the model" in message
    assert "\n" not in message


def test_a_wrong_setting_fails_init_and_names_it(sandbox: Sandbox) -> None:
    command = sandbox.command(str(RUNTIME_PYTHON), "-c", "import handler.app")
    environment = sandbox.environment(RERANK_AUTH_MODE="Open")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "RERANK_AUTH_MODE must be Key, None or Front" in done.stderr
