"""The arm64 artefacts, run: they import, load the model and give the scores of this machine's own architecture."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from tests.arm64 import machine
from tests.integration.sandbox import ROOT, Sandbox

EXAMPLE = (ROOT / "tests" / "examples" / "cold-start.json").read_text()
SCORES = """
import json, sys
from types import SimpleNamespace
from handler.app import lambda_handler
context = SimpleNamespace(aws_request_id="1", get_remaining_time_in_millis=lambda: 900_000)
request = {**json.loads(sys.argv[1]), "raw_scores": True, "return_passages": False}
answer = lambda_handler(request, context)
print()
print(json.dumps({result["id"]: result["score"] for result in answer["results"]}))
"""
# The int8 weights stay within ±63, so that no kernel saturates; what is left is the order of float32 additions.
TOLERANCE = 1e-3
pytestmark = pytest.mark.timeout(3600)  # instructions are emulated one by one, some twenty times slower


@pytest.fixture(scope="module", autouse=True)
def arm64() -> None:
    """The layers merged as Lambda merges them, and a machine to run them on."""
    try:
        machine.prepare()
    except machine.NotHereError as error:
        pytest.skip(f"arm64 cannot be run here: {error}")
    opt = machine.BUILT / "opt"
    shutil.rmtree(opt, ignore_errors=True)
    for layer in ("dependencies", "model"):
        shutil.copytree(machine.BUILT / layer, opt, dirs_exist_ok=True)


def test_it_is_arm64_with_lambdas_bare_sys() -> None:
    program = """
import json, os, platform
print(json.dumps([platform.machine(), os.path.exists("/sys/devices/system/cpu"), open("/proc/cpuinfo").read()]))
"""
    name, has_sys, cpuinfo = machine.run(program)
    assert (name, has_sys) == ("aarch64", False)
    assert "0xd0c" in cpuinfo


def test_every_bundled_module_comes_from_the_layers_with_its_bytecode() -> None:
    program = """
import importlib, json
import handler.app
names = ["onnxruntime", "numpy", "tokenizers", "aws_lambda_powertools", "mangum", "fastjsonschema"]
modules = list(map(importlib.import_module, names))
print()
print(json.dumps([[m.__file__, type(m.__loader__).__module__] for m in modules]))
"""
    for file, loader in machine.run(program):
        assert file.startswith("/opt/python/")
        assert loader == "handler.imports"


@pytest.mark.parametrize("cpu", ["neoverse-n1", "max"])  # Graviton2, and everything that newer ones have
def test_the_scores_are_those_of_this_machine(cpu: str) -> None:
    here: dict[str, Any] = json.loads(Sandbox.of().python(SCORES, EXAMPLE).strip().splitlines()[-1])
    there: dict[str, float] = machine.run(SCORES, EXAMPLE, cpu=cpu)
    assert there.keys() == here.keys()
    largest = max(abs(there[name] - here[name]) for name in here)
    print(f"{cpu}: largest difference of a logit {largest:.2e} over {len(here)} passages")
    assert largest < TOLERANCE
    assert list(there) == list(here)
