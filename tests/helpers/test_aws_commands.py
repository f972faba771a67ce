"""Each printed `aws` line, parsed by the AWS CLI itself, makes exactly the call that the helper made."""

import ast
import contextlib
import functools
import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from awscli import clidriver
from awscli.customizations import waiters
from botocore.client import BaseClient

from helpers import acm, aws, cleanup, dns, eks, function, load_balancer, network
from helpers.aws import command_line
from helpers.base import command
from helpers.base.errors import ApiError, ChangeNeededError
from helpers.base.settings import ROOT
from tests.pasting.grammar import DATA
from tests.pasting.transcript import parse

Call = tuple[str, str, dict[str, Any]]

_CHANGES_OTHERS = ("modify-vpc-attribute",)  # if the same CLI process runs it twice
_QUESTION = re.compile("describe|get|list|filter|head|invoke", re.I)


@pytest.fixture(scope="module")
def cli() -> Iterator[Any]:
    """What the AWS CLI would call for these arguments: service, operation (or waiter), parameters."""
    sent: list[Call] = []

    def keep(self: Any, service: str, operation: str, parameters: dict[str, Any], _globals: Any) -> int:
        sent.append((service, operation, dict(parameters)))
        return 0

    def wait(self: Any, service: str, waiter: str, parameters: dict[str, Any], _globals: Any) -> int:
        sent.append((service, f"wait {waiter}", dict(parameters)))
        return 0

    driver_of = functools.cache(lambda _alone: clidriver.create_clidriver())

    def read(line: str) -> Call:
        words = shlex.split(line.replace("\\\n", " "))
        assert words[0] == "aws"
        with contextlib.chdir(ROOT), patch.dict(os.environ, AWS_DATA_PATH=DATA):
            driver = driver_of(words[2] if words[2] in _CHANGES_OTHERS else "")
            assert driver.main([*words[1:], "--region", "us-east-1"]) == 0, line
        return sent.pop()

    with (
        patch.object(clidriver.CLIOperationCaller, "invoke", keep),
        patch.object(waiters.WaiterCaller, "invoke", wait),
    ):
        yield read


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
def test_the_cli_parses_any_value_unchanged(cli, parameters):
    line = command_line.render("ec2", "create_vpc", parameters)
    line.write_files()
    assert cli(line.text) == ("ec2", "CreateVpc", parameters)


CALLS: list[Call] = [
    ("ec2", "modify_vpc_attribute", {"VpcId": "vpc-1", "EnableDnsSupport": {"Value": True}}),
    ("ec2", "describe_vpcs", {"VpcIds": ["a b", "-c", "d,e"]}),
    ("ec2", "describe_vpcs", {"VpcIds": ["[a]"]}),
    ("ec2", "describe_vpcs", {"VpcIds": []}),
    ("ec2", "describe_vpcs", {"Filters": [{"Name": "x", "Values": ["a", "b,c"]}]}),
    ("eks", "create_cluster", {"name": "x", "version": "1.35", "roleArn": "r", "resourcesVpcConfig": {}}),
    ("eks", "tag_resource", {"resourceArn": "arn:x", "tags": {"kubernetes.io/x": "1", "a b": "c"}}),
    ("logs", "put_retention_policy", {"logGroupName": "/aws/x", "retentionInDays": 7}),
    ("lambda", "update_function_code", {"FunctionName": "x", "ZipFile": function.package()}),
    ("lambda", "invoke", {"FunctionName": "x", "Payload": b'{"path": "/"}', "LogType": "Tail"}),
    ("s3", "put_bucket_policy", {"Bucket": "x", "Policy": '{"Version": "2012-10-17"}'}),
    ("s3", "delete_objects", {"Bucket": "x", "Delete": {"Objects": [{"Key": "a"}], "Quiet": True}}),
]


@pytest.mark.parametrize(("service", "operation", "parameters"), CALLS, ids=str)
def test_the_cli_parses_any_call_unchanged(cli, service, operation, parameters):
    line = command_line.render(service, operation, parameters, show="X[0].Y")
    line.write_files()
    name = operation.title().replace("_", "")
    assert cli(line.text) == (service, name, parameters)


def test_a_document_stays_for_the_earlier_command_that_names_it():
    def payload(path: str) -> dict[Path, bytes]:
        line = command_line.render("lambda", "invoke", {"Payload": json.dumps({"path": path}).encode()})
        line.write_files()
        assert all(command.relative(file) in line.text for file in line.files)
        return line.files

    first, second, again = payload("/a"), payload("/b"), payload("/a")
    assert first == again != second
    assert all(file.read_bytes() == content for file, content in (first | second).items())
    assert [file.name for file in first | second] == ["payload.json", "payload-2.json"]


@pytest.fixture
def changes(monkeypatch) -> list[Call]:
    """The changes that helpers' clients requested; rejected ones are left out."""
    made: list[Call] = []
    send = BaseClient._make_api_call

    def record(self: Any, operation: str, parameters: dict[str, Any]) -> Any:
        asked = dict(parameters)  # botocore adds tokens
        answer = send(self, operation, parameters)
        if not _QUESTION.match(operation):
            made.append((self.meta.service_model.service_name, operation, asked))
        return answer

    monkeypatch.setattr(BaseClient, "_make_api_call", record)
    return made


def test_every_change_of_a_run_is_printed_and_makes_the_same_call(cli, moto, changes, capsys):
    network.ensure()
    eks.ensure()
    function.ensure()
    acm.ensure()
    load_balancer.ensure()
    dns.ensure()
    eks.delete()  # moto's cluster has no API server that the clean-up could query
    cleanup.everything()
    said = capsys.readouterr().out
    commands = [step.command for step in parse(said) if step.command.startswith("aws ")]
    # This one changes a file on this machine.
    read = [cli(command) for command in commands if not command.startswith("aws eks update-kubeconfig ")]
    printed = [call for call in read if not call[1].startswith("wait ") and not _QUESTION.match(call[1])]
    assert [pair for pair in zip(printed, changes, strict=True) if pair[0] != pair[1]] == []
    assert ("route53", "ChangeResourceRecordSets") in {call[:2] for call in changes}
    assert {"CreateVpc", "DeleteVpc", "CreateCluster", "PutBucketPolicy"} <= {call[1] for call in changes}
    # The clean-up waits for background deletions that would block later ones.
    lines = [" ".join(step.command.split()[:4]) for step in parse(said)]
    for waiting, next_ in (
        ("aws elbv2 wait load-balancers-deleted", "aws elbv2 delete-target-group --target-group-arn"),
        ("while aws ec2 describe-network-interfaces", "aws ec2 delete-security-group --group-id"),
        ("aws eks wait nodegroup-deleted", "aws eks delete-cluster --name"),
        ("aws ec2 wait nat-gateway-deleted", "aws ec2 release-address --allocation-id"),
    ):
        assert lines[lines.index(next_) - 1] == waiting


def test_ids_in_commands_were_returned_by_earlier_commands(moto, capsys):
    """An id assigned by EC2 appears after `# → ` before a command uses it."""
    network.ensure()
    known: set[str] = set()
    for step in parse(capsys.readouterr().out):
        assert set(re.findall(r"(?:vpc|subnet|igw|nat|rtb|eipalloc)-[0-9a-f]{8,}", step.command)) <= known
        known.update(step.answers)
    assert len(known) == 12 + 6  # VPC, gateways, address, subnets, tables; associations


def test_the_answer_is_what_the_cli_prints():
    assert command_line.text("a[0].[b,c]", {"a": [{"b": "x", "c": 1}]}) == "x\t1"
    assert command_line.text("a[].b", {"a": [{"b": "x"}, {"b": "y"}]}) == "x\ty"
    assert command_line.text("a[].[b]", {"a": [{"b": "x"}, {"b": "y"}]}) == "x\ny"
    assert command_line.text("a.b", {"a": {}}) == "None"


def test_in_read_only_mode_a_change_names_its_command_and_is_not_made(moto, monkeypatch, changes, capsys):
    monkeypatch.setenv("TUTORIAL_READ_ONLY", "1")
    with pytest.raises(ChangeNeededError, match=r"aws ec2 create-vpc --cidr-block 10\.0\.0\.0/16"):
        network.ensure()
    assert changes == [] and "aws " not in capsys.readouterr().out


def test_a_rejected_change_is_not_printed(moto, capsys):
    with pytest.raises(ApiError):
        aws.change("ec2", "delete_vpc", VpcId="vpc-0")
    assert capsys.readouterr().out == ""


def silent(source: str) -> list[str]:
    """Changing operations that do not go through `aws.change`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            named = [word.value for word in node.keywords if word.arg == "operation"]
            if isinstance(node.func.value, ast.Name) and node.func.value.id == "aws":
                place = {"call": 1, "list_all": 1, "shown": 1, "ask_once": 2}.get(node.func.attr)
                named += node.args[place : place + 1] if place else []
            texts = [each.value for each in named if isinstance(each, ast.Constant)]
            found += [text for text in texts if not _QUESTION.match(text)]
    return found


def test_no_helper_changes_anything_silently():
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "helpers").rglob("*.py")}
    assert {path.name: found for path, source in sources.items() if (found := silent(source))} == {}


@pytest.mark.parametrize(
    "source", ["aws.call('ec2', 'create_vpc')", "aws.found('x', service='ec2', operation='delete_vpc')"]
)
def test_a_silent_change_is_detected(source):
    assert silent(source)
