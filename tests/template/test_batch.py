"""The stack for whole data sets: what it may touch, and that its state machines say what they mean."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from handler import errors
from infra.ministack import localised
from tests.template.cloudformation import ROOT, deployed, load, of_type, refusals

BUCKETS = {"BatchInputBucket": "queries", "BatchOutputBucket": "rankings"}
LAMBDA_FAULTS = {
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Sandbox.Timedout",
    "Runtime.ExitError",
}
MACHINES = {"batch": "BatchFunctionArn", "rank": "RerankFunctionArn"}


def statements(role: str, **given: str) -> dict[str, dict[str, Any]]:
    policies = deployed(**BUCKETS, **given)["Resources"][role]["Properties"]["Policies"]
    return {said["Sid"]: said for policy in policies for said in policy["PolicyDocument"]["Statement"]}


def definition(name: str) -> dict[str, Any]:
    said: dict[str, Any] = yaml.safe_load((ROOT / "infra" / f"{name}.asl.yaml").read_text())
    return said


def states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


def test_there_is_no_batch_stack_unless_its_buckets_are_named() -> None:
    made = deployed()["Resources"]
    assert not [name for name in made if name.startswith(("Batch", "RankStateMachine"))]


@pytest.mark.parametrize("name", BUCKETS)
def test_one_bucket_without_the_other_is_refused(name: str) -> None:
    assert refusals(load(), {name: "a-bucket"}) == [
        "BatchInputBucket and BatchOutputBucket go together - give both, or the same one twice."
    ]


def test_the_worker_may_touch_the_two_buckets_and_nothing_else() -> None:
    said = statements("BatchFunctionRole", Tracing="PassThrough")
    assert said.keys() == {"OwnLog", "Input", "Output", "Listing"}
    assert said["Input"]["Action"] == ["s3:GetObject", "s3:GetObjectVersion"]
    assert _text(said["Input"]["Resource"]).endswith(":s3:::queries/*")
    assert _text(said["Output"]["Resource"]).endswith(":s3:::rankings/*")
    assert [_text(arn).rsplit(":", 1)[1] for arn in said["Listing"]["Resource"]] == ["queries", "rankings"]


def test_the_state_machine_may_invoke_its_function_and_start_itself() -> None:
    said = statements("BatchStateMachineRole", Tracing="PassThrough")
    assert said["OwnFunction"]["Resource"] == {"Fn::GetAtt": ["BatchFunction", "Arn"]}
    assert _text(said["OwnChildren"]["Resource"]).endswith(":stateMachine:rerank-test-batch")
    assert _text(said["OwnExecutions"]["Resource"]).endswith(":execution:rerank-test-batch/*")
    assert _text(said["ShardsAndResults"]["Resource"]).endswith(":s3:::rankings/*")
    wide = {sid for sid, statement in said.items() if statement["Resource"] == "*"}
    assert wide == {"LogDelivery"}  # whose actions know no resources


def _text(value: Any) -> str:
    return json.dumps(value).strip('"}] ') if not isinstance(value, str) else value


def test_the_worker_has_the_time_and_the_other_function_has_not_the_rights() -> None:
    functions = of_type(deployed(**BUCKETS), "AWS::Lambda::Function")
    worker, front = functions["BatchFunction"], functions["RerankFunction"]
    assert worker["Timeout"] == 900
    assert worker["Environment"]["Variables"]["RERANK_BUCKETS"] == "queries,rankings"
    assert front["Environment"]["Variables"]["RERANK_BUCKETS"] == ""
    assert worker["Layers"] == front["Layers"]
    said = deployed(**BUCKETS)["Resources"]["FunctionRole"]["Properties"]["Policies"]
    assert "rankings" not in json.dumps(said)


@pytest.mark.parametrize("name", MACHINES)
def test_every_state_is_reached_and_every_step_leads_somewhere(name: str) -> None:
    def walk(machine: dict[str, Any]) -> None:
        following = {machine["StartAt"]}
        for state in machine["States"].values():
            following |= {
                step["Next"] for step in [state, *state.get("Choices", []), *state.get("Catch", [])] if "Next" in step
            }
            following |= {state["Default"]} if "Default" in state else set()
            if "ItemProcessor" in state:
                walk(state["ItemProcessor"])
        assert following == machine["States"].keys()

    walk(definition(name))


@pytest.mark.parametrize("name", MACHINES)
def test_only_lambdas_own_errors_are_retried_and_with_jitter(name: str) -> None:
    tasks = [state for _, state in states(definition(name)) if state["Type"] == "Task"]
    assert tasks
    for task in tasks:
        (retry,) = task["Retry"]
        assert set(retry["ErrorEquals"]) <= LAMBDA_FAULTS
        assert retry["JitterStrategy"] == "FULL"
        assert retry["MaxDelaySeconds"] <= 60


@pytest.mark.parametrize("name", MACHINES)
def test_every_error_that_is_caught_exists(name: str) -> None:
    caught = {
        error
        for _, state in states(definition(name))
        for catch in state.get("Catch", [])
        for error in catch["ErrorEquals"]
    }
    assert all(issubclass(getattr(errors, error), errors.RerankError) for error in caught)


@pytest.mark.parametrize(("name", "substitution"), MACHINES.items())
def test_what_the_template_substitutes_is_what_the_definition_asks_for(name: str, substitution: str) -> None:
    text = (ROOT / "infra" / f"{name}.asl.yaml").read_text()
    found = [resource for resource in load()["Resources"].values()
             if resource["Properties"].get("DefinitionUri") == f"infra/{name}.asl.yaml"]  # fmt: skip
    (machine,) = found
    assert machine["Properties"]["DefinitionSubstitutions"].keys() == {substitution}
    assert text.replace(f"${{{substitution}}}", "").count("${") == 0


def test_the_map_is_distributed_bounded_tolerant_and_writes_its_results() -> None:
    state = definition("batch")["States"]["RankShards"]
    assert state["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert state["ItemReader"]["ReaderConfig"] == {"InputType": "JSONL"}
    assert {"MaxConcurrencyPath", "ToleratedFailurePercentagePath", "ResultWriter"} <= state.keys()


def test_the_definition_that_runs_here_is_the_deployed_one_with_its_paths_resolved() -> None:
    said, local = (
        definition("batch"),
        localised(ROOT / "infra" / "batch.asl.yaml", {"BatchFunctionArn": "arn"}, {"concurrency": 3}),
    )
    assert local["States"]["RankShards"].pop("MaxConcurrency") == 3
    assert local["States"]["RankShards"].pop("ToleratedFailurePercentage") == 5
    for name in ("MaxConcurrencyPath", "ToleratedFailurePercentagePath"):
        del said["States"]["RankShards"][name]
    assert json.loads(json.dumps(said).replace("${BatchFunctionArn}", "arn")) == local
