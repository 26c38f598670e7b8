"""Templates as CloudFormation would see them: SAM's own transform, then rules, conditions and parameters worked out.

Only what needs a real account stays open: references to resources, and the functions over them.
"""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
NOTHING = {"Ref": "AWS::NoValue"}
PSEUDO = {
    "AWS::StackName": "rerank-test",
    "AWS::Region": "eu-central-1",
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}
Template = dict[str, Any]


def load(name: str = "template.yaml") -> Template:
    """A template of the project as it is written."""
    return copy.deepcopy(_parsed(name))


@functools.cache
def _parsed(name: str) -> Template:
    template: Template = yaml_parse((ROOT / name).read_text())
    return template


def values(template: Template, given: dict[str, str]) -> dict[str, str | list[str]]:
    """What each parameter is: given or default; lists are split as CloudFormation does."""
    unknown = given.keys() - template["Parameters"].keys()
    assert not unknown, f"no such parameters: {unknown}"
    said = {name: str(given.get(name, about.get("Default", ""))) for name, about in template["Parameters"].items()}
    types = {name: about["Type"] for name, about in template["Parameters"].items()}
    return {name: value.split(",") if types[name] == "CommaDelimitedList" else value for name, value in said.items()}


def refusals(template: Template, given: dict[str, str]) -> list[str]:
    """The sentences with which CloudFormation refuses these parameters: its own checks, then the template's Rules."""
    parameters = values(template, given)
    sentences = [
        f"{name} is out of bounds" for name in given if not _allowed(template["Parameters"][name], given[name])
    ]
    for rule in template.get("Rules", {}).values():
        if "RuleCondition" not in rule or holds(rule["RuleCondition"], parameters, {}):
            sentences += [
                assertion["AssertDescription"]
                for assertion in rule["Assertions"]
                if not holds(assertion["Assert"], parameters, {})
            ]
    return sentences


def _allowed(about: dict[str, Any], value: str) -> bool:
    if "AllowedValues" in about and value not in map(str, about["AllowedValues"]):
        return False
    if about["Type"] == "Number" and not about.get("MinValue", 0) <= float(value) <= about.get(
        "MaxValue", float("inf")
    ):
        return False
    return re.fullmatch(about.get("AllowedPattern", ".*"), value) is not None


def holds(condition: Any, parameters: dict[str, Any], conditions: dict[str, Any]) -> bool:
    """Work out a condition or a rule's assertion. Raises ``ValueError`` for a function that neither may use."""
    ((name, operands),) = condition.items()
    table: dict[str, Callable[[], bool]] = {
        "Condition": lambda: holds(conditions[operands], parameters, conditions),
        "Fn::Equals": lambda: str(_value(operands[0], parameters)) == str(_value(operands[1], parameters)),
        "Fn::Not": lambda: not holds(operands[0], parameters, conditions),
        "Fn::And": lambda: all(holds(operand, parameters, conditions) for operand in operands),
        "Fn::Or": lambda: any(holds(operand, parameters, conditions) for operand in operands),
        "Fn::Contains": lambda: _value(operands[1], parameters) in _value(operands[0], parameters),
    }
    if name not in table:
        raise ValueError(f"{name} in a condition")
    return table[name]()


def _value(operand: Any, parameters: dict[str, Any]) -> Any:
    if isinstance(operand, dict):
        ((name, argument),) = operand.items()
        if name == "Fn::Join":
            return argument[0].join(_value(argument[1], parameters))
        return parameters[argument]
    return operand


def transform(template: Template, given: dict[str, str]) -> Template:
    """Run SAM's transform with these parameters, as CloudFormation does it."""
    prepared = copy.deepcopy(template)
    for resource in prepared["Resources"].values():
        for name in ("CodeUri", "ContentUri", "DefinitionUri"):
            if name in resource.get("Properties", {}):
                resource["Properties"][name] = "s3://artefacts/archive.zip"  # where `sam deploy` will have put it
    parameters = {name: about.get("Default", "") for name, about in template["Parameters"].items()} | given
    translated: Template = Translator({}, Parser(), boto_session=boto3.Session(region_name="eu-central-1")).translate(
        prepared, parameter_values=parameters
    )
    return translated


def deployed(name: str = "template.yaml", **given: str) -> Template:
    """The resources and outputs that come into being with these parameters, their values put in."""
    template = load(name)
    assert refusals(template, given) == []
    transformed = _transformed(name, frozenset(given.items()))
    parameters = values(template, given)
    conditions = transformed.get("Conditions", {})

    def exists(item: dict[str, Any]) -> bool:
        return "Condition" not in item or holds({"Condition": item["Condition"]}, parameters, conditions)

    return {
        part: {
            key: resolve(item, parameters, conditions)
            for key, item in transformed.get(part, {}).items()
            if exists(item)
        }
        for part in ("Resources", "Outputs")
    }


@functools.cache
def _transformed(name: str, given: frozenset[tuple[str, str]]) -> Template:
    return transform(load(name), dict(given))


def resolve(node: Any, parameters: dict[str, Any], conditions: dict[str, Any]) -> Any:  # noqa: PLR0911 - one a function
    """Put in what can be known before deployment: parameters, pseudo-parameters, and the branches of Fn::If."""

    def inside(child: Any) -> Any:
        return resolve(child, parameters, conditions)

    if isinstance(node, list):
        return [item for item in map(inside, node) if item != NOTHING]
    if not isinstance(node, dict):
        return node
    if node.keys() == {"Fn::If"}:
        condition, yes, no = node["Fn::If"]
        return inside(yes if holds({"Condition": condition}, parameters, conditions) else no)
    if node.keys() == {"Ref"} and node != NOTHING:
        known: dict[str, Any] = {**parameters, **PSEUDO}
        return known.get(node["Ref"], node)
    if node.keys() == {"Fn::Sub"} and isinstance(node["Fn::Sub"], str):
        known = {**parameters, **PSEUDO}
        text = re.sub(r"\$\{([\w:]+)\}", lambda found: str(known.get(found[1], found[0])), node["Fn::Sub"])
        return {"Fn::Sub": text} if re.search(r"\$\{[^!]", text) else text
    if node.keys() == {"Fn::Join"}:
        separator, parts = inside(node["Fn::Join"][0]), inside(node["Fn::Join"][1])
        simple = isinstance(parts, list) and all(isinstance(part, str) for part in parts)
        return separator.join(parts) if simple else {"Fn::Join": [separator, parts]}
    return {key: value for key, value in ((key, inside(value)) for key, value in node.items()) if value != NOTHING}


def references(node: Any) -> Iterator[str]:
    """Names of the resources that a resolved node refers to."""
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "Ref":
                yield value
            elif key == "Fn::GetAtt":
                yield value[0] if isinstance(value, list) else value.split(".")[0]
            elif key == "Fn::Sub":
                text, own = value if isinstance(value, list) else (value, {})
                yield from (name.split(".")[0] for name in re.findall(r"\$\{([\w.]+)\}", text) if name not in own)
                yield from references(list(own.values()))
            elif key == "DependsOn":
                yield from [value] if isinstance(value, str) else value
            else:
                yield from references(value)


def of_type(template: Template, kind: str) -> dict[str, Any]:
    """Properties of all resources of one type, by name."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }
