"""Resources in use cannot be deleted; the identities that the lab knows; what the tagging API lists."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError, WaiterError

from lab.aws import delays
from lab.aws.api.principals import OWN
from lab.aws.server import Aws
from lab.aws.services.ec2.networks import Networks
from lab.errors import LabError
from tests.lab.aws.conftest import patiently

QUICK = {"Delay": 1, "MaxAttempts": 20}
TAG = {"Key": "project", "Value": "refusals"}


@pytest.fixture
def ec2(client):
    return client("ec2")


def test_networks_are_deleted_from_the_inside_out(aws, client, ec2):
    vpc_id = ec2.create_vpc(CidrBlock="10.5.0.0/16")["Vpc"]["VpcId"]
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.5.1.0/24")["Subnet"]["SubnetId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc_id)
    group, other = (
        ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc_id)["GroupId"] for name in "ab"
    )
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": group}]}
    ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=[rule])
    interface = ec2.create_network_interface(SubnetId=subnet_id, Groups=[other])["NetworkInterface"]

    def violation(said: str, call, **arguments) -> None:
        with pytest.raises(ClientError) as refused:
            call(**arguments)
        assert refused.value.response["Error"]["Code"] == "DependencyViolation"
        assert said in refused.value.response["Error"]["Message"]

    has = "has dependencies and cannot be deleted."
    violation(f"The subnet '{subnet_id}' {has}", ec2.delete_subnet, SubnetId=subnet_id)
    violation(f"resource {other} has a dependent object", ec2.delete_security_group, GroupId=other)
    violation(f"resource {group} has a dependent object", ec2.delete_security_group, GroupId=group)
    ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
    ec2.delete_security_group(GroupId=other)
    violation(f"The vpc '{vpc_id}' {has}", ec2.delete_vpc, VpcId=vpc_id)
    ec2.delete_subnet(SubnetId=subnet_id)
    violation(f"The vpc '{vpc_id}' {has}", ec2.delete_vpc, VpcId=vpc_id)
    ec2.delete_security_group(GroupId=group)
    violation(f"The vpc '{vpc_id}' {has}", ec2.delete_vpc, VpcId=vpc_id)
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc_id)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    ec2.delete_vpc(VpcId=vpc_id)
    with pytest.raises(ClientError, match=r"InvalidVpcID\.NotFound"):
        ec2.describe_vpcs(VpcIds=[vpc_id])
    assert vpc_id not in aws.vpcs


def test_a_nat_gateway_keeps_its_subnet_and_address_in_use(ec2, monkeypatch):
    vpc_id = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.8.1.0/24")["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=vpc_id)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet_id)
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    internet_gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=internet_gateway, VpcId=vpc_id)
    tags = [{"ResourceType": "natgateway", "Tags": [{"Key": "project", "Value": "nat"}]}]
    made = ec2.create_nat_gateway(SubnetId=subnet_id, AllocationId=address, TagSpecifications=tags)
    gateway = made["NatGateway"]
    assert gateway["NatGatewayAddresses"][0]["PrivateIp"].startswith("10.8.1.")
    listed = [
        [one["NatGatewayId"] for one in ec2.describe_nat_gateways(Filters=filters)["NatGateways"]]
        for filters in ([{"Name": "tag:project", "Values": [value]}] for value in ("nat", "another"))
    ]
    assert listed == [[gateway["NatGatewayId"]], []]
    with pytest.raises(ClientError, match="DependencyViolation"):
        ec2.delete_subnet(SubnetId=subnet_id)
    with pytest.raises(ClientError, match="AuthFailure"):
        ec2.release_address(AllocationId=address)
    interface = gateway["NatGatewayAddresses"][0]["NetworkInterfaceId"]
    with pytest.raises(ClientError, match="is currently in use"):
        ec2.delete_network_interface(NetworkInterfaceId=interface)
    monkeypatch.setattr(delays, "NAT_GATEWAY", 5)
    ec2.delete_nat_gateway(NatGatewayId=gateway["NatGatewayId"])
    with pytest.raises(ClientError, match="AuthFailure"):
        ec2.release_address(AllocationId=address)
    patiently(ec2.release_address, AllocationId=address)
    with pytest.raises(ClientError, match="DependencyViolation"):
        ec2.delete_route_table(RouteTableId=table)
    ec2.delete_subnet(SubnetId=subnet_id)
    ec2.delete_route_table(RouteTableId=table)
    ec2.detach_internet_gateway(InternetGatewayId=internet_gateway, VpcId=vpc_id)
    ec2.delete_internet_gateway(InternetGatewayId=internet_gateway)
    ec2.delete_vpc(VpcId=vpc_id)


def test_a_nat_gateway_becomes_available_only_with_an_internet_gateway(ec2):
    vpc_id = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    internet = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]

    def make() -> str:
        made = ec2.create_nat_gateway(SubnetId=subnet_id, AllocationId=address)["NatGateway"]
        assert made["State"] == "pending"
        return made["NatGatewayId"]

    with pytest.raises(WaiterError):
        ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[failed := make()], WaiterConfig=QUICK)
    described = ec2.describe_nat_gateways(NatGatewayIds=[failed])["NatGateways"][0]
    assert (described["State"], described["FailureCode"]) == ("failed", "Gateway.NotAttached")
    assert described["FailureMessage"] == f"Network {vpc_id} has no Internet gateway attached"
    ec2.attach_internet_gateway(InternetGatewayId=internet, VpcId=vpc_id)
    ec2.get_waiter("nat_gateway_available").wait(NatGatewayIds=[gateway := make()], WaiterConfig=QUICK)
    with pytest.raises(ClientError, match=f"The internetGateway '{internet}' has dependencies"):
        ec2.delete_internet_gateway(InternetGatewayId=internet)
    ec2.delete_nat_gateway(NatGatewayId=gateway)
    patiently(ec2.delete_subnet, SubnetId=subnet_id)
    ec2.release_address(AllocationId=address)
    ec2.detach_internet_gateway(InternetGatewayId=internet, VpcId=vpc_id)
    ec2.delete_internet_gateway(InternetGatewayId=internet)
    ec2.delete_vpc(VpcId=vpc_id)


def test_a_vpc_has_a_namespace_only_while_it_contains_something(aws, client, ec2):
    vpc_id = ec2.create_vpc(CidrBlock="10.6.0.0/16")["Vpc"]["VpcId"]
    assert vpc_id not in aws.vpcs
    vpc = aws.context.peer(Networks, "eu-central-1").namespace(vpc_id)
    assert aws.vpcs[vpc_id] is vpc and vpc.namespace.path.exists()
    ec2.delete_vpc(VpcId=vpc_id)
    assert vpc_id not in aws.vpcs and not vpc.namespace.path.exists()


def test_a_role_and_a_policy_in_use_cannot_be_deleted(client, role):
    iam = client("iam")
    role("ec2.amazonaws.com")
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    policy = iam.create_policy(PolicyName="p", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="for-ec2", PolicyArn=policy)
    with pytest.raises(iam.exceptions.DeleteConflictException, match="must detach all policies first"):
        iam.delete_role(RoleName="for-ec2")
    with pytest.raises(iam.exceptions.DeleteConflictException, match="Cannot delete a policy attached"):
        iam.delete_policy(PolicyArn=policy)
    iam.detach_role_policy(RoleName="for-ec2", PolicyArn=policy)
    iam.delete_policy(PolicyArn=policy)
    managed = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    assert iam.get_policy(PolicyArn=managed)["Policy"]["Arn"] == managed


def test_sts_knows_only_the_labs_own_user(aws, client):
    assert client("sts").get_caller_identity()["Arn"] == "arn:aws:iam::123456789012:user/lab"
    stranger = boto3.client(
        "sts",
        endpoint_url=aws.endpoint_url,
        region_name="eu-central-1",
        aws_access_key_id=OWN.access_key_id[::-1],
        aws_secret_access_key="guessed",
    )
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        stranger.get_caller_identity()


def test_the_tagging_api_lists_what_a_tutorial_creates(client, ec2, function):
    """EKS is in test_eks. IAM's roles are not listed, as on AWS."""
    kinds = ("vpc", "subnet", "security-group", "internet-gateway")
    tags = [{"ResourceType": kind, "Tags": [TAG]} for kind in kinds]
    vpc_id = ec2.create_vpc(CidrBlock="10.7.0.0/16", TagSpecifications=tags[:1])["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.7.1.0/24", TagSpecifications=tags[1:2])["Subnet"]
    group = ec2.create_security_group(
        GroupName="g", Description="g", VpcId=vpc_id, TagSpecifications=tags[2:3]
    )["GroupId"]
    gateway = ec2.create_internet_gateway(TagSpecifications=tags[3:])["InternetGateway"]["InternetGatewayId"]
    elb, acm, logs, route53 = client("elbv2"), client("acm"), client("logs"), client("route53")
    groups = elb.create_target_group(Name="t", TargetType="lambda", Tags=[TAG])["TargetGroups"]
    target = groups[0]["TargetGroupArn"]
    certificate = acm.request_certificate(DomainName="x.example.com", Tags=[TAG])["CertificateArn"]
    logs.create_log_group(logGroupName="/g", tags={TAG["Key"]: TAG["Value"]})
    zone = route53.create_hosted_zone(Name="example.com", CallerReference="tags")["HostedZone"]["Id"]
    zone = zone.removeprefix("/hostedzone/")
    route53.change_tags_for_resource(ResourceType="hostedzone", ResourceId=zone, AddTags=[TAG])
    client("lambda").tag_resource(Resource=function, Tags={TAG["Key"]: TAG["Value"]})

    filters = [{"Key": TAG["Key"], "Values": [TAG["Value"]]}]
    pages = client("resourcegroupstaggingapi").get_paginator("get_resources").paginate(TagFilters=filters)
    found = [one["ResourceARN"] for page in pages for one in page["ResourceTagMappingList"]]
    identifiers = sorted(arn.split("/")[-1].split(":")[-1] for arn in found)
    wanted = [vpc_id, subnet["SubnetId"], group, gateway, target, certificate, "g", zone, "hello"]
    assert identifiers == sorted(name.split("/")[-1] for name in wanted)

    route53.delete_hosted_zone(Id=zone)
    logs.delete_log_group(logGroupName="/g")
    acm.delete_certificate(CertificateArn=certificate)
    elb.delete_target_group(TargetGroupArn=target)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    ec2.delete_security_group(GroupId=group)
    ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.delete_vpc(VpcId=vpc_id)


def test_a_port_in_use_is_reported(aws):
    context = aws.context
    second = Aws(context.lab, context.internet, context.dns, context.make_cluster, port=aws.port)
    with pytest.raises(LabError, match=f"127.0.0.1:{aws.port}"):
        second.start()
    second.stop()
