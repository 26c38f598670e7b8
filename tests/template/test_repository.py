"""What stands around the stack: settings of sam, the CI workflow, the runbook, the REST API's request model."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml

from handler.contract import RANK_REQUEST_SCHEMA
from infra.cost import Use, billed_seconds, month
from infra.deploy import parameters
from infra.request_model import request_model
from tests.template.cloudformation import ROOT, deployed, load, of_type, references

MAKEFILE = (ROOT / "Makefile").read_text()
VERBS = set(re.findall(r"^([a-z0-9-]+):", MAKEFILE, re.MULTILINE))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_to_a_commit_and_every_step_is_a_verb(path: Any) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])
            else:
                assert re.fullmatch(r"make ([a-z0-9-]+)( [A-Z]+=\S+| [A-Z]+=\$\{\{.*\}\})*", step["run"])
                assert step["run"].split()[1] in VERBS


def test_every_verb_says_what_it_does() -> None:
    told = set(re.findall(r"^([a-z0-9-]+):.*## \S", MAKEFILE, re.MULTILINE))
    assert {verb for verb in VERBS if not verb.startswith("build-")} == told


def test_the_runbook_has_an_entry_for_every_alarm() -> None:
    runbook = (ROOT / "README.md").read_text().rsplit("\n## ", 1)[1]
    assert runbook.startswith("Runbook")
    for name in of_type(deployed(), "AWS::CloudWatch::Alarm"):
        assert f"**{name}**" in runbook


def test_every_environment_of_samconfig_can_be_deployed() -> None:
    tables = tomllib.loads((ROOT / "samconfig.toml").read_text())
    for environment in ("default", "dev", "staging", "prod"):
        table = tables[environment]["deploy"]["parameters"]
        assert table["capabilities"] == ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
        deployed(**dict(pair.split("=", 1) for pair in table.get("parameter_overrides", [])))


def test_parameters_of_the_command_line_join_those_of_the_environment() -> None:
    joined = parameters("prod", ["MemorySize=2048", "Playground=on"])
    assert "MemorySize=2048" in joined
    assert "Playground=on" in joined
    assert "Playground=off" not in joined
    assert "ReservedConcurrency=100" in joined
    with pytest.raises(SystemExit, match="no nowhere"):
        parameters("nowhere", [])


def rest_api() -> dict[str, Any]:
    found: dict[str, Any] = load("infra/rest-api.yaml")["Resources"]["Api"]["Properties"]
    return found


def test_the_request_model_is_the_contracts() -> None:
    model = rest_api()["DefinitionBody"]["components"]["schemas"]["RankRequest"]
    assert model == request_model(RANK_REQUEST_SCHEMA), "make it anew: python -m infra.request_model"


def test_the_rest_api_asks_for_a_key_on_every_way_but_preflights() -> None:
    for path, methods in rest_api()["DefinitionBody"]["paths"].items():
        for method, about in methods.items():
            assert ("security" in about) == (method != "options"), path
            assert about["x-amazon-apigateway-integration"]["type"] == "aws_proxy"


def test_the_rest_api_traces_no_data_and_its_log_holds_no_bodies() -> None:
    (settings,) = rest_api()["MethodSettings"]
    assert settings["DataTraceEnabled"] is False
    assert "body" not in rest_api()["AccessLogSetting"]["Format"].lower()


def test_the_firewall_never_blocks_for_what_a_passage_says() -> None:
    firewall = load("infra/rest-api.yaml")["Resources"]["Firewall"]["Properties"]
    for rule in firewall["Rules"]:
        group = rule["Statement"].get("ManagedRuleGroupStatement", {})
        for override in group.get("RuleActionOverrides", []):
            assert override["ActionToUse"] == {"Count": {}}
    counted = {
        override["Name"]
        for rule in firewall["Rules"]
        for override in rule["Statement"].get("ManagedRuleGroupStatement", {}).get("RuleActionOverrides", [])
    }
    assert {"SizeRestrictions_BODY", "CrossSiteScripting_BODY", "GenericLFI_BODY", "GenericRFI_BODY"} <= counted


def test_nothing_in_the_nested_stacks_refers_to_what_is_not_made() -> None:
    nested = {"FunctionAliasArn": "a", "Name": "n"}
    for name, given in (("infra/rest-api.yaml", nested), ("infra/rest-api.yaml", {**nested, "AccountLogRole": "on"})):
        stack = deployed(name, **given)
        for resource in stack["Resources"].values():
            found = {reference for reference in references(resource) if not reference.startswith("AWS::")}
            assert found <= stack["Resources"].keys()


def test_a_month_costs_in_proportion() -> None:
    one, two = month(Use(1e6, 50)), month(Use(2e6, 50))
    assert {name: round(2 * dollars, 6) for name, dollars in one.items()} == {
        name: round(dollars, 6) for name, dollars in two.items()
    }
    assert month(Use(1e6, 50, architecture="x86_64"))["Lambda, compute"] > one["Lambda, compute"]
    assert billed_seconds(Use(1, 50, memory_mb=885)) > 1.9 * billed_seconds(Use(1, 50)) - 0.002
    assert month(Use(1e6, 50, http=False))["HTTP API"] == 0
