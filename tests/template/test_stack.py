"""What comes into being with which parameters, on SAM's own transform."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.template.cloudformation import deployed, load, of_type, references
from tests.template.test_rules import ACCEPTED, CERTIFICATE, JWT

KEY_ARN = "arn:aws:kms:eu-central-1:123456789012:key/abc"
SETS = {
    **ACCEPTED,
    "everything": {
        "RestApi": "on",
        "FunctionUrl": "on",
        "DataBucket": "passages",
        "CorsOrigins": "https://a.example,https://b.example",
        "KmsKeyArn": KEY_ARN,
        "AlarmTopicArn": "arn:aws:sns:eu-central-1:123456789012:alarms",
        "ReservedConcurrency": "50",
        "ProvisionedConcurrency": "2",
        "DeploymentType": "Canary10Percent5Minutes",
        "LogLevel": "DEBUG",
        "DomainName": "rerank.example.org",
        "CertificateArn": CERTIFICATE,
        "HostedZoneId": "Z123",
        "VpcSubnetIds": "subnet-1,subnet-2",
        "VpcSecurityGroupIds": "sg-1",
        **ACCEPTED["a model in another function"],
        **ACCEPTED["a model of Bedrock's"],
    },
    "x86": {"Architecture": "x86_64", "Runtime": "python3.12"},
    "batch": {
        "BatchInputBucket": "queries",
        "BatchOutputBucket": "rankings",
        "RankWorkflow": "on",
        "KmsKeyArn": KEY_ARN,
    },
}


def function(**given: str) -> dict[str, Any]:
    found: dict[str, Any] = of_type(deployed(**given), "AWS::Lambda::Function")["RerankFunction"]
    return found


def variables(**given: str) -> dict[str, str]:
    found: dict[str, str] = function(**given)["Environment"]["Variables"]
    return found


def statements(**given: str) -> dict[str, dict[str, Any]]:
    role = deployed(**given)["Resources"]["FunctionRole"]["Properties"]
    assert "ManagedPolicyArns" not in role
    return {said["Sid"]: said for policy in role["Policies"] for said in policy["PolicyDocument"]["Statement"]}


@pytest.mark.parametrize("case", SETS)
def test_nothing_refers_to_what_is_not_made(case: str) -> None:
    stack = deployed(**SETS[case])
    for name, item in [*stack["Resources"].items(), *stack["Outputs"].items()]:
        assert {found for found in references(item) if not found.startswith("AWS::")} <= stack["Resources"].keys(), name


def test_by_default_it_is_closed_and_one_vcpu_on_arm64() -> None:
    assert variables()["RERANK_AUTH_MODE"] == "Key"
    assert variables()["RERANK_KEY_DIGESTS"] == ""
    properties = function()
    assert (properties["MemorySize"], properties["Architectures"]) == ("1769", ["arm64"])
    assert properties["Runtime"] == "python3.13"
    assert properties["RecursiveLoop"] == "Terminate"
    assert load()["Parameters"]["KeyDigests"]["NoEcho"] is True


@pytest.mark.parametrize(
    ("given", "mode", "route"),
    [
        ({}, "Key", "NONE"),
        (JWT, "Front", "JWT"),
        ({"AuthMode": "Iam"}, "Front", "AWS_IAM"),
        ({"AuthMode": "None"}, "None", "NONE"),
    ],
)
def test_somebody_checks_every_caller_unless_it_is_asked_to_be_open(
    given: dict[str, str], mode: str, route: str
) -> None:
    stack = deployed(**given)
    (properties,) = of_type(stack, "AWS::ApiGatewayV2::Route").values()
    assert properties["AuthorizationType"] == route
    assert ("AuthorizerId" in properties) == (route == "JWT") == ("JwtAuthorizer" in stack["Resources"])
    assert variables(**given)["RERANK_AUTH_MODE"] == mode


def test_the_default_front_has_no_path_prefix_and_throttles() -> None:
    (stage,) = of_type(deployed(), "AWS::ApiGatewayV2::Stage").values()
    assert stage["StageName"] == "$default"
    settings = stage["DefaultRouteSettings"]
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == ("50", "100")


def test_a_domain_has_an_empty_base_path() -> None:
    stack = deployed(**ACCEPTED["a domain"])
    (mapping,) = of_type(stack, "AWS::ApiGatewayV2::ApiMapping").values()
    assert "ApiMappingKey" not in mapping
    assert stack["Outputs"]["ApiUrl"]["Value"] == "https://rerank.example.org"


def test_without_fronts_there_is_no_way_in_but_to_invoke() -> None:
    stack = deployed(HttpApi="off")
    assert [kind for kind in (item["Type"] for item in stack["Resources"].values()) if "ApiGateway" in kind] == []
    assert of_type(stack, "AWS::Lambda::Permission") == {}


def test_a_function_url_takes_signed_requests_alone_and_goes_to_the_alias() -> None:
    stack = deployed(FunctionUrl="on")
    (url,) = of_type(stack, "AWS::Lambda::Url").values()
    assert (url["AuthType"], url["Qualifier"]) == ("AWS_IAM", "live")
    assert of_type(deployed(), "AWS::Lambda::Url") == {}


def test_every_front_and_schedule_invokes_the_alias() -> None:
    stack = deployed(WarmEveryMinutes="5", RestApi="on")
    assert {str(permission["FunctionName"]) for permission in of_type(stack, "AWS::Lambda::Permission").values()} == {
        "{'Ref': 'RerankFunctionAliaslive'}"
    }
    (rule,) = of_type(stack, "AWS::Events::Rule").values()
    assert rule["ScheduleExpression"] == "rate(5 minutes)"
    (one,) = of_type(deployed(WarmEveryMinutes="1"), "AWS::Events::Rule").values()
    assert one["ScheduleExpression"] == "rate(1 minute)"


def test_the_role_may_write_its_log_and_report_failures_and_nothing_else() -> None:
    assert statements(Tracing="PassThrough").keys() == {"OwnLog", "OwnFailures"}
    assert statements()["OwnLog"]["Resource"] == {"Fn::GetAtt": ["FunctionLogGroup", "Arn"]}


def test_every_further_right_belongs_to_a_parameter_and_names_what_can_be_named() -> None:
    more = statements(**SETS["everything"])
    assert more["DataBucket"]["Resource"] == "arn:aws:s3:::passages/*"
    assert more["OwnKey"]["Resource"] == KEY_ARN
    assert more["BedrockModel"]["Resource"] == SETS["everything"]["BedrockModelArn"]
    assert more["RemoteModel"]["Resource"] == SETS["everything"]["RemoteModelFunctionArn"]
    for sid, said in more.items():
        if sid not in {"BedrockRerank", "NetworkInterfaces", "Traces"}:  # AWS offers no resource for these actions
            assert "*" not in (said["Resource"] if isinstance(said["Resource"], list) else [said["Resource"]])
        assert not [action for action in said["Action"] if action.endswith("*")]


def test_failed_asynchronous_invocations_are_kept_encrypted_and_watched() -> None:
    stack = deployed()
    queues = of_type(stack, "AWS::SQS::Queue")
    assert queues.keys() == {"FailuresQueue", "DeadLettersQueue"}
    assert all(queue["SqsManagedSseEnabled"] is True for queue in queues.values())
    (config,) = of_type(stack, "AWS::Lambda::EventInvokeConfig").values()
    assert config["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["FailuresQueue", "Arn"]}
    assert config["Qualifier"] == "live"
    assert function()["DeadLetterConfig"]["TargetArn"] == {"Fn::GetAtt": ["DeadLettersQueue", "Arn"]}


def test_a_kms_key_protects_everything_that_is_kept() -> None:
    stack = deployed(KmsKeyArn=KEY_ARN)
    assert {queue["KmsMasterKeyId"] for queue in of_type(stack, "AWS::SQS::Queue").values()} == {KEY_ARN}
    assert {group["KmsKeyId"] for group in of_type(stack, "AWS::Logs::LogGroup").values()} == {KEY_ARN}
    assert function(KmsKeyArn=KEY_ARN)["KmsKeyArn"] == KEY_ARN


def test_logs_are_deleted_in_time_and_hold_no_bodies() -> None:
    stack = deployed()
    assert {group["RetentionInDays"] for group in of_type(stack, "AWS::Logs::LogGroup").values()} == {"30"}
    (stage,) = of_type(stack, "AWS::ApiGatewayV2::Stage").values()
    fields = json.loads(stage["AccessLogSettings"]["Format"])
    assert not [value for value in fields.values() if "body" in value.lower() or "header" in value.lower()]
    assert variables(LogLevel="DEBUG")["POWERTOOLS_LOGGER_LOG_EVENT"] == "false"


@pytest.mark.parametrize(("level", "lambdas_own"), [("DEBUG", "DEBUG"), ("INFO", "INFO"), ("ERROR", "INFO")])
def test_no_log_level_makes_lambda_drop_the_metrics(level: str, lambdas_own: str) -> None:
    assert function(LogLevel=level)["LoggingConfig"]["ApplicationLogLevel"] == lambdas_own
    assert variables(LogLevel=level)["POWERTOOLS_LOG_LEVEL"] == level


def test_a_new_version_is_rolled_back_by_alarms_on_the_alias() -> None:
    stack = deployed(DeploymentType="Canary10Percent5Minutes")
    (group,) = of_type(stack, "AWS::CodeDeploy::DeploymentGroup").values()
    assert "Canary10Percent5Minutes" in str(group["DeploymentConfigName"])
    guards = {alarm["Name"]["Ref"] for alarm in group["AlarmConfiguration"]["Alarms"]}
    assert guards == {"NewVersionErrorsAlarm", "ErrorsAlarm", "DurationAlarm"}
    newest = stack["Resources"]["NewVersionErrorsAlarm"]["Properties"]["Dimensions"]
    assert [dimension["Name"] for dimension in newest] == ["FunctionName", "Resource", "ExecutedVersion"]


def test_alarms_tell_the_topic_and_name_their_place_in_the_runbook() -> None:
    topic = "arn:aws:sns:eu-central-1:123456789012:alarms"
    alarms = of_type(deployed(AlarmTopicArn=topic), "AWS::CloudWatch::Alarm")
    assert len(alarms) == 7
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [topic]
        assert alarm["AlarmDescription"].endswith(f"Runbook - {name}.")
        assert alarm["TreatMissingData"] == "notBreaching"
    assert not any("AlarmActions" in alarm for alarm in of_type(deployed(), "AWS::CloudWatch::Alarm").values())


def test_the_duration_alarm_follows_the_timeout() -> None:
    alarm = deployed(Timeout="60")["Resources"]["DurationAlarm"]["Properties"]
    assert alarm["Metrics"][0]["Expression"] == "100 * p99 / (60 * 1000)"


def test_concurrency_is_measured_against_what_there_is() -> None:
    def expression(**given: str) -> str:
        found: str = deployed(**given)["Resources"]["ConcurrencyAlarm"]["Properties"]["Metrics"][0]["Expression"]
        return found

    assert expression() == "100 * concurrent / SERVICE_QUOTA(concurrent)"
    assert expression(ReservedConcurrency="50") == "100 * concurrent / 50"


def test_cold_start_levers_are_off_until_asked_for() -> None:
    assert function()["SnapStart"] == {"ApplyOn": "None"}
    assert function(SnapStart="on")["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    (alias,) = of_type(deployed(), "AWS::Lambda::Alias").values()
    assert "ProvisionedConcurrencyConfig" not in alias
    (kept,) = of_type(deployed(ProvisionedConcurrency="2"), "AWS::Lambda::Alias").values()
    assert kept["ProvisionedConcurrencyConfig"] == {"ProvisionedConcurrentExecutions": "2"}
    assert "ReservedConcurrentExecutions" not in function()


def test_layers_are_built_by_make_for_the_chosen_runtime() -> None:
    layers = of_type(deployed(Architecture="x86_64", Runtime="python3.12"), "AWS::Lambda::LayerVersion")
    assert len(layers) == 2
    for layer in layers.values():
        assert "x86_64" in layer["CompatibleArchitectures"]
        assert layer["CompatibleRuntimes"] == ["python3.12"]
