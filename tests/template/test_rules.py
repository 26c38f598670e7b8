"""What the stack refuses before anything is made, and with which sentence."""

from __future__ import annotations

import pytest

from tests.template.cloudformation import load, refusals

TEMPLATE = load()
DIGEST = "0" * 64
CERTIFICATE = "arn:aws:acm:eu-central-1:123456789012:certificate/abc"
JWT = {"AuthMode": "Jwt", "JwtIssuer": "https://issuer.example", "JwtAudience": "rerank"}

FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:rerank-small:live"
REFUSED = {
    "SnapStart with provisioned concurrency": (
        {"SnapStart": "on", "ProvisionedConcurrency": "2"},
        "exclude each other",
    ),
    "JWT without an issuer": ({"AuthMode": "Jwt", "JwtAudience": "rerank"}, "needs JwtIssuer and JwtAudience"),
    "JWT without an audience": ({**JWT, "JwtAudience": ""}, "needs JwtIssuer and JwtAudience"),
    "JWT without the HTTP API": ({**JWT, "HttpApi": "off"}, "needs HttpApi on"),
    "JWT with a REST API beside it": ({**JWT, "RestApi": "on"}, "excludes RestApi"),
    "an issuer that nothing asks": ({"JwtIssuer": "https://issuer.example"}, "AuthMode must be Jwt"),
    "digests of an open stack": ({"AuthMode": "None", "KeyDigests": DIGEST}, "AuthMode must be Key"),
    "digests where IAM decides": ({"AuthMode": "Iam", "KeyDigests": DIGEST}, "AuthMode must be Key"),
    "a domain without a certificate": ({"DomainName": "rerank.example.org"}, "needs CertificateArn"),
    "a domain that leads nowhere": (
        {"DomainName": "rerank.example.org", "CertificateArn": CERTIFICATE, "HttpApi": "off"},
        "needs HttpApi on",
    ),
    "a certificate without a domain": ({"CertificateArn": CERTIFICATE}, "need DomainName"),
    "a zone without a domain": ({"HostedZoneId": "Z123"}, "need DomainName"),
    "subnets without groups": ({"VpcSubnetIds": "subnet-1,subnet-2"}, "need VpcSecurityGroupIds"),
    "groups without subnets": ({"VpcSecurityGroupIds": "sg-1"}, "need VpcSubnetIds"),
    "a batch without a place for its results": ({"BatchInputBucket": "passages"}, "go together"),
    "a batch without data": ({"BatchOutputBucket": "rankings"}, "go together"),
    "another function without a name": ({"RemoteModelFunctionArn": FUNCTION}, "go together"),
    "a name for no function": ({"RemoteModelName": "small"}, "go together"),
    "a Bedrock model by name": (
        {"BedrockModelArn": "amazon.rerank-v1:0"},
        "BedrockModelArn is out of bounds",
    ),
    "warming what is provisioned": ({"WarmEveryMinutes": "5", "ProvisionedConcurrency": "1"}, "keeps nothing warm"),
    "a key where its digest belongs": ({"KeyDigests": "my-secret-key"}, "KeyDigests is out of bounds"),
    "an issuer without TLS": ({**JWT, "JwtIssuer": "http://issuer.example"}, "JwtIssuer is out of bounds"),
    "too little memory": ({"MemorySize": "128"}, "MemorySize is out of bounds"),
    "a timeout that Lambda has not": ({"Timeout": "901"}, "Timeout is out of bounds"),
    "a runtime without a layer": ({"Runtime": "python3.11"}, "Runtime is out of bounds"),
    "an unknown way to authorise": ({"AuthMode": "Open"}, "AuthMode is out of bounds"),
}
ACCEPTED = {
    "nothing at all": {},
    "two keys in rotation": {"KeyDigests": f"{DIGEST},{DIGEST}"},
    "tokens": JWT,
    "IAM on both APIs": {"AuthMode": "Iam", "RestApi": "on"},
    "open when asked for": {"AuthMode": "None"},
    "SnapStart": {"SnapStart": "on"},
    "SnapStart kept warm": {"SnapStart": "on", "WarmEveryMinutes": "5"},
    "provisioned concurrency": {"ProvisionedConcurrency": "2"},
    "a domain": {"DomainName": "rerank.example.org", "CertificateArn": CERTIFICATE, "HostedZoneId": "Z123"},
    "a private network": {"VpcSubnetIds": "subnet-1,subnet-2", "VpcSecurityGroupIds": "sg-1"},
    "a model in another function": {"RemoteModelName": "small", "RemoteModelFunctionArn": FUNCTION},
    "a model of Bedrock's": {"BedrockModelArn": "arn:aws:bedrock:eu-central-1::foundation-model/amazon.rerank-v1:0"},
    "direct invokes alone": {"HttpApi": "off", "PreloadHttp": "off"},
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_with_a_sentence(case: str) -> None:
    given, sentence = REFUSED[case]
    assert [refusal for refusal in refusals(TEMPLATE, given) if sentence in refusal]


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_can_work_is_accepted(case: str) -> None:
    assert refusals(TEMPLATE, ACCEPTED[case]) == []


def test_every_rule_has_a_case_that_it_refuses() -> None:
    told = {refusal for given, _ in REFUSED.values() for refusal in refusals(TEMPLATE, given)}
    for rule in TEMPLATE["Rules"].values():
        for assertion in rule["Assertions"]:
            assert assertion["AssertDescription"] in told


def test_every_parameter_is_described_and_grouped() -> None:
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    shown = [name for group in groups for name in group["Parameters"]]
    assert sorted(shown) == sorted(TEMPLATE["Parameters"])
    assert [name for name, about in TEMPLATE["Parameters"].items() if not about.get("Description")] == []
