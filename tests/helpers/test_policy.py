"""The tutorial's AWS policy: well-formed, with reasons; and the advice after a denied call."""

import json
import re
import subprocess
import sys

import pytest

from helpers import aws
from helpers.aws import denied, policy
from helpers.base.errors import ApiError
from helpers.base.settings import ROOT

ACCOUNT = "123456789012"


def test_each_statement_has_its_reason_in_the_readme():
    statements = [one["Sid"] for one in policy.document(ACCOUNT)["Statement"]]
    reasons = re.findall(r"^\| `(\w+)` \| .{10,}", (ROOT / "policies/README.md").read_text(), re.M)
    assert reasons == statements


def test_it_names_the_readers_own_account_region_and_resources(monkeypatch):
    monkeypatch.setenv("TUTORIAL_NAME", "mine")
    monkeypatch.setenv("TUTORIAL_DOMAIN", "example.org")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    statements = {one["Sid"]: one for one in policy.document(ACCOUNT)["Statement"]}
    function = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:mine-hello-world"
    assert statements["Function"]["Resource"] == function
    assert "alb.example.org" in json.dumps(statements["OwnRecords"])
    assert "${" not in json.dumps(statements)


def test_it_fits_into_a_role_and_never_allows_everything():
    document = policy.document(ACCOUNT)
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    assert len(re.sub(r"\s", "", json.dumps(document))) < 10_240
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow"
        assert not any("*" in action for action in denied.actions(statement))


def test_the_printed_policy_can_be_pasted(moto, monkeypatch):
    answer = subprocess.run(
        [sys.executable, "-m", "helpers.aws.policy"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(answer.stdout) == policy.document(ACCOUNT)


USER = "User: arn:aws:sts::123456789012:assumed-role/r/s is not authorized to perform:"
WHY = "because no identity-based policy allows the"


@pytest.mark.parametrize(
    ("message", "action", "resource"),
    [
        (f"{USER} eks:ListClusters on resource: arn:a:b {WHY} …", "eks:ListClusters", "arn:a:b"),
        (f"{USER} iam:GetRole on resource: role x {WHY} …", "iam:GetRole", "role x"),
        (f"You are not authorized. {USER} ec2:DescribeVpcs {WHY} …", "ec2:DescribeVpcs", ""),
        (f'{USER} s3:GetObject on resource: "arn:a" {WHY} s3:GetObject action', "s3:GetObject", "arn:a"),
        (f"{USER} lambda:GetPolicy on resource: arn:a with an explicit deny", "lambda:GetPolicy", "arn:a"),
        ("Failed: X due to missing permissions for 'iam:PassRole'", "iam:PassRole", ""),
    ],
)  # fmt: skip
def test_a_denial_names_action_and_resource(message, action, resource):
    assert denied.denied(message) == (action, resource)
    assert f"allow {action}" in denied.advice(message)


def test_advice_names_the_statement():
    message = f"{USER} iam:PassRole on resource: arn:a {WHY} iam:PassRole action"
    assert "statement PassRoles of policies/aws.json" in denied.advice(message)
    message = f"{USER} s3:PutObject on resource: arn:a {WHY} s3:PutObject action"
    assert "which policies/aws.json does not allow" in denied.advice(message)


def test_other_errors_have_no_such_advice(moto):
    assert denied.denied("The role defined for the function cannot be assumed by Lambda.") is None
    with pytest.raises(ApiError) as refused:
        aws.call("eks", "describe_cluster", name="nobody")
    assert "policies/" not in str(refused.value)
