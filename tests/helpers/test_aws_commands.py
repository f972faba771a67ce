"""Each printed `aws` line, as the AWS CLI itself reads it, makes the very call that the helper made."""

import functools
import os
import re
import shlex
from typing import Any

import pytest

from helpers import function
from helpers.aws import command_line
from helpers.base.settings import ROOT

_QUESTION = re.compile("(describe|get|list|filter|head|search)_|invoke$")


@pytest.fixture(scope="module")
def cli() -> Any:
    """What the AWS CLI would call: service, operation (of a waiter: its own) and parameters of words."""
    from awscli import clidriver
    from awscli.customizations import waiters

    sent: list[tuple[str, str, dict[str, Any]]] = []

    def keep(self: Any, service: str, operation: str, parameters: dict[str, Any], _globals: Any) -> int:
        sent.append((service, operation, dict(parameters)))
        return 0

    def wait(self: Any, service: str, waiter: str, parameters: dict[str, Any], _globals: Any) -> int:
        sent.append((service, f"wait {waiter}", dict(parameters)))
        return 0

    patch = pytest.MonkeyPatch()
    # Each of its commands changes the others' in a process.
    driver_of = functools.cache(lambda *_words: clidriver.create_clidriver())
    patch.setattr(clidriver.CLIOperationCaller, "invoke", keep)
    patch.setattr(waiters.WaiterCaller, "invoke", wait)

    def read(line: str) -> tuple[str, str, dict[str, Any]]:
        words = shlex.split(line.replace("\\\n", " "))
        assert words[0] == "aws"
        there = os.getcwd()
        os.chdir(ROOT)
        try:
            assert driver_of(*words[1:3]).main([*words[1:], "--region", "us-east-1"]) == 0, line
        finally:
            os.chdir(there)
        return sent.pop()

    yield read
    patch.undo()


VALUES: list[dict[str, Any]] = [
    {"CidrBlock": "10.0.0.0/16"},
    {"CidrBlock": "a b  c 'quoted' \"twice\" $HOME `x` \\ !"},
    {"CidrBlock": "-dash"},
    {"CidrBlock": "file:///etc/passwd"},
    {"CidrBlock": "https://203.0.113.7/"},
    {"CidrBlock": '{"a": [1, "ü"]}'},
    {"CidrBlock": "[]"},
    {"CidrBlock": "two\nlines"},
    {"CidrBlock": " space "},
    {"CidrBlock": "Größe 10 €, 东京 🚀"},
    {"Ipv4NetmaskLength": 24},
    {"AmazonProvidedIpv6CidrBlock": True},
    {"AmazonProvidedIpv6CidrBlock": False},
    {"TagSpecifications": []},
    {"TagSpecifications": [{"ResourceType": "vpc", "Tags": []}]},
    {"TagSpecifications": [{"ResourceType": "vpc", "Tags": [{"Key": "a", "Value": "b"}]}] * 2},
    *(
        {"TagSpecifications": [{"ResourceType": "vpc", "Tags": [{"Key": "k", "Value": value}]}]}
        for value in (
            "",
            "a b",
            "a,b",
            "a=b",
            "a,b=c",
            "[x]",
            "{x}",
            "it's",
            'say "x"',
            "back\\slash",
            "ü 东京 🚀",
            " edge ",
            "two\nlines",
            "true",
            "12",
            "file://x",
            "@x",
            "~",
            "#x",
        )
    ),
]


@pytest.mark.parametrize("parameters", VALUES, ids=str)
def test_the_cli_reads_any_value_as_it_is(cli, parameters):
    line = command_line.render("ec2", "create_vpc", parameters)
    line.write_files()
    assert cli(line.text) == ("ec2", "CreateVpc", parameters)


CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("ec2", "modify_vpc_attribute", {"VpcId": "vpc-1", "EnableDnsSupport": {"Value": True}}),
    ("ec2", "describe_vpcs", {"VpcIds": ["a b", "-c", "d,e"]}),
    ("ec2", "describe_vpcs", {"VpcIds": ["[a]"]}),
    ("ec2", "describe_vpcs", {"VpcIds": []}),
    ("ec2", "describe_vpcs", {"Filters": [{"Name": "x", "Values": ["a", "b,c"]}]}),
    ("eks", "create_cluster", {"name": "x", "version": "1.35", "roleArn": "r", "resourcesVpcConfig": {}}),
    ("eks", "tag_resource", {"resourceArn": "arn:x", "tags": {"kubernetes.io/x": "1", "a b": "c"}}),
    ("logs", "put_retention_policy", {"logGroupName": "/aws/x", "retentionInDays": 7}),
    ("lambda", "update_function_code", {"FunctionName": "x", "ZipFile": function.package()}),
    ("s3", "put_bucket_policy", {"Bucket": "x", "Policy": '{"Version": "2012-10-17"}'}),
    ("s3", "delete_objects", {"Bucket": "x", "Delete": {"Objects": [{"Key": "a"}], "Quiet": True}}),
]


@pytest.mark.parametrize(("service", "operation", "parameters"), CALLS, ids=str)
def test_the_cli_reads_any_call_as_it_is(cli, service, operation, parameters):
    line = command_line.render(service, operation, parameters, show="X[0].Y")
    line.write_files()
    name = operation.title().replace("_", "")
    assert cli(line.text) == (service, name, parameters)
