"""Creating twice or deleting too early is rejected as on AWS; in the end the AWS CLI deletes everything."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tenacity
from botocore.exceptions import ClientError

from tests.lab.aws.conftest import cli_environment
from tests.lab.aws.stack import DOMAIN, NAME, PERMISSION, REGION, RULE, Stack, record

HAS_DEPENDENCIES = "has dependencies and cannot be deleted."


@pytest.fixture(scope="module")
def stack(aws) -> Stack:
    return Stack(aws.endpoint_url)


# service, operation, parameters, code, message
TWICE_OR_TOO_EARLY = {
    "a VPC with things in it": lambda s: (
        "ec2", "delete_vpc", {"VpcId": s.vpc},
        "DependencyViolation", f"The vpc '{s.vpc}' {HAS_DEPENDENCIES}"),
    "a subnet with a balancer": lambda s: (
        "ec2", "delete_subnet", {"SubnetId": s.subnets[0]},
        "DependencyViolation", f"The subnet '{s.subnets[0]}' {HAS_DEPENDENCIES}"),
    "a balancer's security group": lambda s: (
        "ec2", "delete_security_group", {"GroupId": s.group},
        "DependencyViolation", f"resource {s.group} has a dependent object"),
    "an attached internet gateway": lambda s: (
        "ec2", "delete_internet_gateway", {"InternetGatewayId": s.gateway},
        "DependencyViolation", f"The internetGateway '{s.gateway}' {HAS_DEPENDENCIES}"),
    "an internet gateway with mapped addresses": lambda s: (
        "ec2", "detach_internet_gateway", {"InternetGatewayId": s.gateway, "VpcId": s.vpc},
        "DependencyViolation", f"Network {s.vpc} has some mapped public address(es)."),
    "an associated route table": lambda s: (
        "ec2", "delete_route_table", {"RouteTableId": s.table},
        "DependencyViolation", f"The routeTable '{s.table}' {HAS_DEPENDENCIES}"),
    "a NAT gateway's address": lambda s: (
        "ec2", "release_address", {"AllocationId": s.address},
        "AuthFailure", "You do not have permission to access the specified resource."),
    "a target group in use": lambda s: (
        "elbv2", "delete_target_group", {"TargetGroupArn": s.target_group},
        "ResourceInUse", f"'{s.target_group}' is currently in use by a listener or a rule"),
    "a certificate in use": lambda s: (
        "acm", "delete_certificate", {"CertificateArn": s.certificate},
        "ResourceInUseException", f"Certificate {s.certificate} in account 123456789012 is in use."),
    "a role with policies": lambda s: (
        "iam", "delete_role", {"RoleName": f"{NAME}-ec2"},
        "DeleteConflict", "Cannot delete entity, must detach all policies first."),
    "a zone with records": lambda s: (
        "route53", "delete_hosted_zone", {"Id": s.zone},
        "HostedZoneNotEmpty", "contains non-required resource record sets and so cannot be deleted."),
    "a cluster with node groups": lambda s: (
        "eks", "delete_cluster", {"name": NAME},
        "ResourceInUseException", "Cluster has nodegroups attached"),
    "a subnet's range again": lambda s: (
        "ec2", "create_subnet", {"VpcId": s.vpc, "CidrBlock": "10.20.1.128/25"},
        "InvalidSubnet.Conflict", "The CIDR '10.20.1.128/25' conflicts with another subnet"),
    "a subnet out of range": lambda s: (
        "ec2", "create_subnet", {"VpcId": s.vpc, "CidrBlock": "10.21.1.0/24"},
        "InvalidSubnet.Range", "The CIDR '10.21.1.0/24' is invalid."),
    "the gateway again": lambda s: (
        "ec2", "attach_internet_gateway", {"InternetGatewayId": s.gateway, "VpcId": s.vpc},
        "Resource.AlreadyAssociated", f"resource {s.gateway} is already attached to network {s.vpc}"),
    "the route again": lambda s: (
        "ec2", "create_route",
        {"RouteTableId": s.table, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": s.gateway},
        "RouteAlreadyExists", "The route identified by 0.0.0.0/0 already exists"),
    "a route to nowhere": lambda s: (
        "ec2", "create_route",
        {"RouteTableId": s.table, "DestinationCidrBlock": "192.0.2.0/24", "NatGatewayId": "nat-0"},
        "InvalidNatGatewayID.NotFound", "The natGateway ID 'nat-0' does not exist"),
    "the security group again": lambda s: (
        "ec2", "create_security_group", {"GroupName": NAME, "Description": "d", "VpcId": s.vpc},
        "InvalidGroup.Duplicate", f"The security group '{NAME}' already exists for VPC '{s.vpc}'"),
    "the rule again": lambda s: (
        "ec2", "authorize_security_group_ingress", {"GroupId": s.group, "IpPermissions": [RULE]},
        "InvalidPermission.Duplicate", "already exists"),
    "the listener again": lambda s: (
        "elbv2", "create_listener", s.https(), "DuplicateListener", "already exists on this port"),
    "the role again": lambda s: (
        "iam", "create_role", {"RoleName": f"{NAME}-eks", "AssumeRolePolicyDocument": "{}"},
        "EntityAlreadyExists", f"Role with name {NAME}-eks already exists."),
    "the log group again": lambda s: (
        "logs", "create_log_group", {"logGroupName": f"/aws/lambda/{NAME}"},
        "ResourceAlreadyExistsException", "The specified log group already exists"),
    "the permission again": lambda s: (
        "lambda", "add_permission", {**PERMISSION, "SourceArn": s.target_group},
        "ResourceConflictException", "The statement id (alb) provided already exists."),
    "the zone again": lambda s: (
        "route53", "create_hosted_zone", {"Name": DOMAIN, "CallerReference": NAME},
        "HostedZoneAlreadyExists", "already been created with the specified caller reference."),
    "the record again": lambda s: (
        "route53", "change_resource_record_sets", {"HostedZoneId": s.zone, "ChangeBatch": record("CREATE")},
        "InvalidChangeBatch", "but it already exists"),
    "the cluster again": lambda s: (
        "eks", "create_cluster", s.cluster(), "ResourceInUseException", "Cluster already exists with name"),
    "the node group again": lambda s: (
        "eks", "create_nodegroup", s.node_group(), "ResourceInUseException", "NodeGroup already exists with"),
}  # fmt: skip


@pytest.mark.parametrize("what", TWICE_OR_TOO_EARLY)
def test_creating_twice_or_deleting_too_early_is_rejected(stack, what):
    service, operation, parameters, code, said = TWICE_OR_TOO_EARLY[what](stack)
    with pytest.raises(ClientError) as refused:
        getattr(stack.client(service), operation)(**parameters)
    error = refused.value.response["Error"]
    assert (error["Code"], said in error["Message"]) == (code, True), error


class Cli:
    """The AWS CLI from PyPI, as a reader runs it."""

    def __init__(self, endpoint_url: str) -> None:
        self._program = Path(sys.executable).with_name("aws")
        self._environment = cli_environment(endpoint_url, REGION)

    def _run(self, command: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, self._program, *command.split()],
            env=self._environment,
            capture_output=True,
            text=True,
        )

    def __call__(self, command: str) -> Any:
        """Its output; the test fails if the command does."""
        answer = self._run(command)
        assert answer.returncode == 0, f"{command}: {answer.stderr}"
        return json.loads(answer.stdout) if answer.stdout.strip() else None

    def refused(self, command: str) -> str:
        """The error message of a command that must fail."""
        answer = self._run(command)
        assert answer.returncode != 0, f"{command}: {answer.stdout}"
        return answer.stderr

    @tenacity.retry(wait=tenacity.wait_fixed(0.5), stop=tenacity.stop_after_attempt(10), reraise=True)
    def patiently(self, command: str) -> Any:
        return self(command)


@pytest.fixture(scope="module")
def cli(aws) -> Cli:
    return Cli(aws.endpoint_url)


def test_the_cli_lists_and_describes(stack, cli):
    listings = {
        "ec2 describe-vpcs": stack.vpc,
        "ec2 describe-nat-gateways": stack.nat,
        "elbv2 describe-load-balancers": stack.balancer,
        "elbv2 describe-target-groups": stack.target_group,
        f"elbv2 describe-listeners --load-balancer-arn {stack.balancer}": stack.certificate,
        "acm list-certificates --includes keyTypes=EC_prime256v1,RSA_2048": stack.certificate,
        f"lambda get-function --function-name {NAME}": stack.function,
        f"lambda get-policy --function-name {NAME}": stack.target_group,
        "iam list-roles": stack.roles["eks"],
        f"route53 list-resource-record-sets --hosted-zone-id {stack.zone}": f"www.{DOMAIN}.",
        f"eks describe-cluster --name {NAME}": "ACTIVE",
        f"eks list-nodegroups --cluster-name {NAME}": '"n"',
        "logs describe-log-groups": f"/aws/lambda/{NAME}",
    }
    for command, wanted in listings.items():
        assert wanted in json.dumps(cli(command)), command


def test_the_cli_deletes_only_in_the_right_order(stack, cli):
    def refused(command: str, code: str) -> None:
        assert re.search(
            rf"An error occurred \({code}\) when calling the \w+ operation", cli.refused(command)
        )

    delete_cluster, delete_vpc = f"eks delete-cluster --name {NAME}", f"ec2 delete-vpc --vpc-id {stack.vpc}"
    refused(delete_cluster, "ResourceInUseException")
    refused(delete_vpc, "DependencyViolation")
    refused(f"elbv2 delete-target-group --target-group-arn {stack.target_group}", "ResourceInUse")
    cli(f"eks delete-nodegroup --cluster-name {NAME} --nodegroup-name n")
    cli(f"eks wait nodegroup-deleted --cluster-name {NAME} --nodegroup-name n")
    cli(delete_cluster)
    cli(f"eks wait cluster-deleted --name {NAME}")
    cli(f"elbv2 delete-load-balancer --load-balancer-arn {stack.balancer}")
    cli(f"elbv2 delete-target-group --target-group-arn {stack.target_group}")
    cli(f"acm delete-certificate --certificate-arn {stack.certificate}")
    cli(f"lambda delete-function --function-name {NAME}")
    cli(f"logs delete-log-group --log-group-name /aws/lambda/{NAME}")
    batch = json.dumps(record("DELETE"), separators=(",", ":"))
    cli(f"route53 change-resource-record-sets --hosted-zone-id {stack.zone} --change-batch {batch}")
    cli(f"route53 delete-hosted-zone --id {stack.zone}")
    cli(f"ec2 delete-nat-gateway --nat-gateway-id {stack.nat}")
    cli.patiently(f"ec2 release-address --allocation-id {stack.address}")
    cli(f"ec2 disassociate-route-table --association-id {stack.association}")
    cli(f"ec2 delete-route-table --route-table-id {stack.table}")
    for subnet in stack.subnets:
        cli.patiently(f"ec2 delete-subnet --subnet-id {subnet}")
    cli(f"ec2 delete-security-group --group-id {stack.group}")
    cli(f"ec2 detach-internet-gateway --internet-gateway-id {stack.gateway} --vpc-id {stack.vpc}")
    cli(f"ec2 delete-internet-gateway --internet-gateway-id {stack.gateway}")
    cli(delete_vpc)
    for policy in cli(f"iam list-attached-role-policies --role-name {NAME}-ec2")["AttachedPolicies"]:
        cli(f"iam detach-role-policy --role-name {NAME}-ec2 --policy-arn {policy['PolicyArn']}")
    for service in stack.roles:
        cli(f"iam delete-role --role-name {NAME}-{service}")
    for command, code in (
        (f"ec2 describe-vpcs --vpc-ids {stack.vpc}", r"InvalidVpcID\.NotFound"),
        (f"elbv2 describe-load-balancers --names {NAME}", "LoadBalancerNotFound"),
        (f"lambda get-function --function-name {NAME}", "ResourceNotFoundException"),
        (f"eks describe-cluster --name {NAME}", "ResourceNotFoundException"),
        (f"iam get-role --role-name {NAME}-eks", "NoSuchEntity"),
    ):
        refused(command, code)
