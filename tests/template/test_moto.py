"""The transformed template put into moto's CloudFormation, as far as moto goes.

moto has no resource of the kinds in ``UNKNOWN`` and leaves them out, and cannot make a permission on an alias, which it
does not have. What it makes is read back through the services' own APIs.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.cloudformation.parsing import get_model_map

from tests.template.cloudformation import ROOT, Template, load, transform

REGION = "eu-central-1"
UNKNOWN = {
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::ApiMapping",
    "AWS::ApiGatewayV2::Authorizer",
    "AWS::ApiGatewayV2::DomainName",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CloudWatch::Alarm",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Url",
    "AWS::SQS::QueuePolicy",
}
FAILING = {"AWS::Lambda::Permission"}
pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse AWS..Logs..QueryDefinition")  # of the nested stack


def within_reach(template: Template, uploaded: str) -> Template:
    """The template without what moto cannot make, and without the outputs that speak of it."""
    resources = template["Resources"]
    resources["Observability"]["Properties"]["TemplateURL"] = uploaded
    beyond = {name for name, resource in resources.items() if resource["Type"] in UNKNOWN | FAILING}
    for name in beyond:
        del resources[name]
    # moto has no ARN for a layer version either, and no outputs of nested stacks.
    kept = ("FunctionName", "LogGroupName")
    template["Outputs"] = {name: template["Outputs"][name] for name in kept}
    return template


@pytest.fixture(scope="module")
def stack() -> Iterator[dict[str, str]]:
    """The outputs of the stack in moto, which stands until the module's tests are done."""
    with mock_aws():
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as opened:
            opened.writestr("handler/app.py", "")
        s3 = boto3.client("s3", region_name=REGION)
        s3.create_bucket(Bucket="artefacts", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="artefacts", Key="archive.zip", Body=archive.getvalue())
        nested = (ROOT / "infra" / "observability.yaml").read_bytes()
        s3.put_object(Bucket="artefacts", Key="observability.yaml", Body=nested)
        given = {"KeyDigests": "0" * 64, "MemorySize": "2048", "HttpApi": "off"}
        body = within_reach(transform(load(), given), f"https://artefacts.s3.{REGION}.amazonaws.com/observability.yaml")
        parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]
        cloudformation = boto3.client("cloudformation", region_name=REGION)
        cloudformation.create_stack(
            StackName="rerank", TemplateBody=json.dumps(body), Parameters=parameters, Capabilities=["CAPABILITY_IAM"]
        )
        (made,) = cloudformation.describe_stacks(StackName="rerank")["Stacks"]
        assert made["StackStatus"] == "CREATE_COMPLETE"
        yield {output["OutputKey"]: output["OutputValue"] for output in made["Outputs"]}


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)


def test_what_is_left_out_is_what_moto_does_not_know() -> None:
    kinds = {resource["Type"] for resource in transform(load(), {})["Resources"].values()}
    known = set(get_model_map())
    assert not (UNKNOWN & known), "moto has learned more: leave less out"
    assert known >= FAILING
    assert len(kinds & known - FAILING) >= 7


def test_the_function_stands_with_its_layers_role_and_settings(stack: dict[str, str]) -> None:
    made = client("lambda").get_function_configuration(FunctionName=stack["FunctionName"])
    assert stack["FunctionName"] == "rerank"
    assert (made["MemorySize"], made["Timeout"]) == (2048, 30)
    assert made["Handler"] == "handler.app.lambda_handler"
    assert made["Environment"]["Variables"]["RERANK_KEY_DIGESTS"] == "0" * 64
    assert len(client("lambda").list_layers()["Layers"]) == 2  # moto leaves a function's own list empty
    (version,) = client("lambda").list_versions_by_function(FunctionName="rerank")["Versions"][1:]
    assert version["Version"] == "1"


def test_the_role_has_the_one_policy(stack: dict[str, str]) -> None:
    made = client("lambda").get_function_configuration(FunctionName=stack["FunctionName"])
    role = made["Role"].rsplit("/", 1)[1]
    assert client("iam").list_role_policies(RoleName=role)["PolicyNames"] == ["rerank"]
    assert client("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []


def test_log_groups_and_queues_stand(stack: dict[str, str]) -> None:
    groups = {group["logGroupName"]: group for group in client("logs").describe_log_groups()["logGroups"]}
    assert groups["/aws/lambda/rerank"]["retentionInDays"] == 30
    urls = client("sqs").list_queues()["QueueUrls"]
    assert len(urls) == 2
    for url in urls:
        said = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert said["SqsManagedSseEnabled"] == "true"


def test_the_dashboard_is_valid_and_names_the_function(stack: dict[str, str]) -> None:
    body = client("cloudwatch").get_dashboard(DashboardName="rerank")["DashboardBody"]
    widgets = json.loads(body)["widgets"]
    assert len(widgets) >= 10
    assert "${" not in body
    assert '"rerank"' in body
