"""Write what is made from the contract, or hold it against the code: `python -m infra.openapi [--check | --release]`.

`handler/request_validator.py` is the request schema as code: to compile it takes a tenth of Lambda's init.

`openapi.yaml` is what the code of this tree speaks, `openapi.released.yaml` what was last promised. With ``--check``
the first must be up to date, and must not break what was promised; ``--release`` makes the first the promise.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastjsonschema
import yaml

from handler.contract import RANK_REQUEST_SCHEMA
from handler.openapi import document

CONTRACT = Path(__file__).with_name("openapi.yaml")
RELEASED = Path(__file__).with_name("openapi.released.yaml")
VALIDATOR = Path(__file__).parents[1] / "handler" / "request_validator.py"

Schema = dict[str, Any]
# Limits of a request that may be raised but not lowered, and the other way round.
_UPPER, _LOWER = ("maximum", "maxItems", "maxLength"), ("minimum", "minItems", "minLength")


class _Dumper(yaml.SafeDumper):
    """Writes equal values out instead of naming them: people read this file."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def to_yaml(contract: Schema) -> str:
    """The file's text."""
    heading = "# Made by `make openapi` from handler/openapi.py; `make check` fails where it is stale.\n"
    return heading + yaml.dump(contract, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def validator() -> str:
    """Return the request schema as Python code.

    It imports the library whole, whose exceptions a valid request does not need: see ``handler.imports.LATER``.
    """
    heading = '"""Made by `make openapi` from RANK_REQUEST_SCHEMA; `make check` fails where it is stale."""\n\n'
    code: str = fastjsonschema.compile_to_code(RANK_REQUEST_SCHEMA, use_default=False)
    code = re.sub(r"^from fastjsonschema import .*$", "import fastjsonschema", code, flags=re.MULTILINE)
    return heading + code.replace("raise JsonSchema", "raise fastjsonschema.JsonSchema")


def breaking_changes(old: Schema, new: Schema) -> Iterator[str]:
    """What a client of ``old`` would trip over in ``new``, a sentence each.

    A request may come to accept more, an answer may come to hold more; neither may come to do with less.
    """
    for path, operations in old["paths"].items():
        for method, operation in operations.items():
            where = f"{method.upper()} {path}"
            successor = new["paths"].get(path, {}).get(method)
            if successor is None:
                yield f"{where} is gone"
                continue
            if "requestBody" in operation:
                yield from _narrowed(_body(operation["requestBody"]), _body(successor["requestBody"]), old, new, where)
            answer, successor_answer = operation["responses"]["200"], successor["responses"].get("200", {})
            yield from _thinned(_body(answer), _body(successor_answer), old, new, where)


def _body(holder: Schema) -> Schema:
    return next((media["schema"] for media in holder.get("content", {}).values()), {})


def _resolved(schema: Schema, contract: Schema) -> Schema:
    if "$ref" in schema:
        target: Schema = contract["components"]["schemas"].get(schema["$ref"].rpartition("/")[2], {})
        return _resolved(target, contract)
    if "allOf" not in schema:
        return schema
    merged: Schema = {"type": "object", "properties": {}, "required": []}
    for part in schema["allOf"]:
        resolved = _resolved(part, contract)
        merged["properties"] |= resolved.get("properties", {})
        merged["required"] += resolved.get("required", [])
    return merged


def _types(schema: Schema) -> set[str]:
    types = schema.get("type", [])
    return set(types if isinstance(types, list) else [types])


def _narrowed(before: Schema, after: Schema, old: Schema, new: Schema, where: str) -> Iterator[str]:
    """How a request schema came to accept less."""
    before, after = _resolved(before, old), _resolved(after, new)
    if _types(after) and (lost := _types(before) - _types(after)):
        yield f"{where}: no longer takes {', '.join(sorted(lost))}"
    if "enum" in after and (gone := [value for value in before.get("enum", []) if value not in after["enum"]]):
        yield f"{where}: no longer takes {', '.join(map(str, gone))}"
    yield from _tightened(before, after, where)
    for name, part in before.get("properties", {}).items():
        if name not in after.get("properties", {}):
            yield f"{where}: {name} is no longer read"
        else:
            yield from _narrowed(part, after["properties"][name], old, new, f"{where}: {name}")
    if "items" in before and "items" in after:
        yield from _narrowed(before["items"], after["items"], old, new, f"{where}[]")


def _tightened(before: Schema, after: Schema, where: str) -> Iterator[str]:
    for limit in _UPPER:
        if limit in after and after[limit] < before.get(limit, float("inf")):
            yield f"{where}: {limit} is lower"
    for limit in _LOWER:
        if limit in after and after[limit] > before.get(limit, float("-inf")):
            yield f"{where}: {limit} is higher"
    for name in after.get("required", []):
        if name not in before.get("required", []):
            yield f"{where}: {name} is required"
    if "anyOf" in before and "anyOf" in after:
        for alternative in before["anyOf"]:
            if alternative not in after["anyOf"] and "$ref" in alternative:
                yield f"{where}: {alternative['$ref'].rpartition('/')[2]} is no longer taken"


def _thinned(before: Schema, after: Schema, old: Schema, new: Schema, where: str) -> Iterator[str]:
    """How an answer's schema came to promise less."""
    before, after = _resolved(before, old), _resolved(after, new)
    if strange := _types(after) - _types(before):
        yield f"{where}: the answer may be {', '.join(sorted(strange))}"
    for name in before.get("required", []):
        if name not in after.get("required", []):
            yield f"{where}: the answer may lack {name}"
    for name, part in before.get("properties", {}).items():
        if name not in after.get("properties", {}):
            yield f"{where}: the answer has no {name}"
        else:
            yield from _thinned(part, after["properties"][name], old, new, f"{where}: {name}")
    if "items" in before:
        yield from _thinned(before["items"], after.get("items", {}), old, new, f"{where}[]")


def main(arguments: list[str]) -> None:
    """Write, check or release the contract."""
    text = to_yaml(document())
    if arguments == ["--check"]:
        if CONTRACT.read_text(encoding="utf-8") != text:
            sys.exit(f"infra/{CONTRACT.name} is stale: run `make openapi`")
        if VALIDATOR.read_text(encoding="utf-8") != validator():
            sys.exit(f"handler/{VALIDATOR.name} is stale: run `make openapi`")
        released = yaml.safe_load(RELEASED.read_text(encoding="utf-8"))
        if broken := list(breaking_changes(released, document())):
            sys.exit("breaks the released contract:\n  " + "\n  ".join(broken))
    else:
        CONTRACT.write_text(text, encoding="utf-8")
        VALIDATOR.write_text(validator(), encoding="utf-8")
        if arguments == ["--release"]:
            RELEASED.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
