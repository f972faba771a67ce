"""AWS behavior, from public reports, that emulations often get wrong: repeated, early or pointless calls."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.lab.aws.conftest import Network, patiently
from tests.lab.aws.front import certificate

ANYWHERE = {"DestinationCidrBlock": "0.0.0.0/0"}
PARAMETER = "InvalidParameterValueException"


def refused(code: str, said: str, call: Any, **parameters: Any) -> None:
    with pytest.raises(ClientError) as error:
        call(**parameters)
    answer = error.value.response["Error"]
    assert answer["Code"] == code and said in answer["Message"], answer


class Two:
    """Two VPCs, the first with two route tables and an internet gateway; and a detached gateway."""

    def __init__(self, client: Any) -> None:
        self.ec2 = client("ec2")
        self.one, self.other = Network(client, "10.3.0.0/16"), Network(client, "10.4.0.0/16")
        self.vpc, self.subnet = self.one.vpc_id, self.one.subnet_ids[0]
        self.gateway, self.spare = (
            self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"] for _ in range(2)
        )
        self.ec2.attach_internet_gateway(InternetGatewayId=self.gateway, VpcId=self.vpc)
        self.table, self.second = self.new_table(self.vpc), self.new_table(self.vpc)
        self.elsewhere = self.new_table(self.other.vpc_id)
        (main,) = self.tables("association.main", "true")
        self.main, self.main_association = main["RouteTableId"], main["Associations"][0]
        self.ec2.associate_route_table(RouteTableId=self.table, SubnetId=self.subnet)

    def new_table(self, vpc_id: str) -> str:
        return str(self.ec2.create_route_table(VpcId=vpc_id)["RouteTable"]["RouteTableId"])

    def tables(self, *one: str) -> Any:
        filters = [{"Name": "vpc-id", "Values": [self.vpc]}, {"Name": one[0], "Values": [one[1]]}]
        return self.ec2.describe_route_tables(Filters=filters)["RouteTables"]

    def delete(self) -> None:
        for table in self.tables("association.subnet-id", self.subnet):
            for association in table["Associations"]:
                self.ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
        for table_id in (self.table, self.second, self.elsewhere):
            self.ec2.delete_route_table(RouteTableId=table_id)
        patiently(self.ec2.detach_internet_gateway, InternetGatewayId=self.gateway, VpcId=self.vpc)
        for gateway in (self.gateway, self.spare):
            self.ec2.delete_internet_gateway(InternetGatewayId=gateway)
        self.one.delete(), self.other.delete()


@pytest.fixture(scope="module")
def two(client) -> Iterator[Two]:
    two = Two(client)
    yield two
    two.delete()


# operation, parameters, code, message
NETWORKS = {
    "a second internet gateway": lambda t: (
        "attach_internet_gateway", {"InternetGatewayId": t.spare, "VpcId": t.vpc},
        "Resource.AlreadyAssociated", f"Network {t.vpc} already has an internet gateway attached"),
    "a second route table": lambda t: (
        "associate_route_table", {"RouteTableId": t.second, "SubnetId": t.subnet},
        "Resource.AlreadyAssociated", f"the specified association for route table {t.second} conflicts"),
    "a route table of another network": lambda t: (
        "associate_route_table", {"RouteTableId": t.elsewhere, "SubnetId": t.one.subnet_ids[1]},
        "InvalidParameterValue", f"route table {t.elsewhere} and subnet {t.one.subnet_ids[1]} belong to"),
    "the main route table": lambda t: (
        "delete_route_table", {"RouteTableId": t.main},
        "DependencyViolation", f"The routeTable '{t.main}' has dependencies"),
    "the main association": lambda t: (
        "disassociate_route_table", {"AssociationId": t.main_association["RouteTableAssociationId"]},
        "InvalidParameterValue", "cannot disassociate the main route table association"),
    "the local route": lambda t: (
        "delete_route", {"RouteTableId": t.table, "DestinationCidrBlock": "10.3.0.0/16"},
        "InvalidParameterValue", "cannot remove local route 10.3.0.0/16"),
    "a route without a target": lambda t: (
        "create_route", {"RouteTableId": t.table, **ANYWHERE},
        "InvalidParameterCombination", "exactly one target"),
    "a route to a gateway elsewhere": lambda t: (
        "create_route", {"RouteTableId": t.elsewhere, "GatewayId": t.gateway, **ANYWHERE},
        "InvalidParameterValue", f"network gateway {t.gateway} belong to different networks"),
    "a VPC with a route table": lambda t: (
        "delete_vpc", {"VpcId": t.other.vpc_id}, "DependencyViolation", "has dependencies"),
    "the default security group": lambda t: (
        "delete_security_group", {"GroupId": default_group(t)}, "CannotDelete", 'name: "default"'),
    "another default security group": lambda t: (
        "create_security_group", {"GroupName": "default", "Description": "d", "VpcId": t.vpc},
        "InvalidParameterValue", "Cannot use reserved security group name: default"),
    "a zone of another region": lambda t: (
        "create_subnet",
        {"VpcId": t.vpc, "CidrBlock": "10.3.9.0/24", "AvailabilityZone": "us-east-1a"},
        "InvalidParameterValue", "Value (us-east-1a) for parameter availabilityZone is invalid."),
    "a NAT gateway without an address": lambda t: (
        "create_nat_gateway", {"SubnetId": t.subnet}, "MissingParameter", "AllocationId"),
    "an unknown security group": lambda t: (
        "create_network_interface", {"SubnetId": t.subnet, "Groups": ["sg-0"]},
        "InvalidGroup.NotFound", "'sg-0' does not exist"),
}  # fmt: skip


def default_group(two: Two) -> str:
    filters = [{"Name": "vpc-id", "Values": [two.vpc]}, {"Name": "group-name", "Values": ["default"]}]
    (found,) = two.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    return str(found["GroupId"])


@pytest.mark.parametrize("what", NETWORKS)
def test_ec2_rejects_invalid_calls(two, what):
    operation, parameters, code, said = NETWORKS[what](two)
    refused(code, said, getattr(two.ec2, operation), **parameters)


def test_repeating_an_association_returns_the_same_one(two):
    association = two.ec2.associate_route_table(RouteTableId=two.table, SubnetId=two.subnet)["AssociationId"]
    (table,) = two.tables("association.subnet-id", two.subnet)
    assert [one["RouteTableAssociationId"] for one in table["Associations"]] == [association]


def test_a_nat_gateway_keeps_its_address_and_the_internet_gateway_in_use(two):
    ec2, address = two.ec2, two.ec2.allocate_address(Domain="vpc")["AllocationId"]
    made = ec2.create_nat_gateway(SubnetId=two.subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    said = f"[{address}] is already associated"
    refused(
        "Resource.AlreadyAssociated", said, ec2.create_nat_gateway, SubnetId=two.subnet, AllocationId=address
    )
    said = f"Network {two.vpc} has some mapped public address(es)"
    refused(
        "DependencyViolation", said, ec2.detach_internet_gateway,
        InternetGatewayId=two.gateway, VpcId=two.vpc,
    )  # fmt: skip
    ec2.delete_nat_gateway(NatGatewayId=made)
    patiently(ec2.release_address, AllocationId=address)


RESERVED = (
    "contains reserved keys that are currently not supported for modification. Reserved keys used in this"
)
MANDATORY = "Runtime and Handler are mandatory parameters for functions created with deployment packages."


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Environment": {"Variables": {"AWS_REGION": "r", "AB": "c"}}}, f"{RESERVED} request: AWS_REGION"),
        ({"Environment": {"Variables": {"AB": "c" * 4096}}}, "exceeded the 4KB limit"),
        ({"Runtime": None}, MANDATORY),
        ({"Handler": None}, MANDATORY),
    ],
)
def test_lambda_rejects_invalid_functions(client, function, role, zip_of, change, said):
    functions = client("lambda")
    good = {"Runtime": "python3.13", "Handler": "app.handler", "Role": role("lambda.amazonaws.com")}
    wanted = good | {"FunctionName": "refused", "Code": {"ZipFile": zip_of("")}} | change
    wanted = {name: value for name, value in wanted.items() if value is not None}
    refused(PARAMETER, said, functions.create_function, **wanted)
    if "Environment" in change:
        update = functions.update_function_configuration
        refused(PARAMETER, said, update, FunctionName="hello", Environment=change["Environment"])


def test_a_new_account_has_no_concurrency_to_reserve(client, function):
    functions = client("lambda")
    said = "decreases account's UnreservedConcurrentExecution below its minimum value of [10]."
    reserve = functions.put_function_concurrency
    refused(PARAMETER, said, reserve, FunctionName="hello", ReservedConcurrentExecutions=1)
    assert "ReservedConcurrentExecutions" not in functions.get_function_concurrency(FunctionName="hello")
    assert functions.invoke(FunctionName="hello")["StatusCode"] == 200
    reserve(FunctionName="hello", ReservedConcurrentExecutions=0)
    assert functions.get_function_concurrency(FunctionName="hello")["ReservedConcurrentExecutions"] == 0
    refused("TooManyRequestsException", "Rate Exceeded", functions.invoke, FunctionName="hello")
    functions.delete_function_concurrency(FunctionName="hello")
    assert functions.invoke(FunctionName="hello")["StatusCode"] == 200


def test_certificates_of_other_key_types_are_listed_only_on_request(client, tmp_path):
    acm = client("acm")

    def listed(**parameters: Any) -> list[str]:
        found = acm.list_certificates(**parameters)["CertificateSummaryList"]
        return [one["CertificateArn"] for one in found]

    with certificate(client, "elliptic.example.com", tmp_path) as (elliptic, _):
        rsa = acm.request_certificate(DomainName="rsa.example.com", ValidationMethod="DNS")["CertificateArn"]
        assert rsa in listed() and elliptic not in listed()
        both = listed(Includes={"keyTypes": ["RSA_2048", "EC_prime256v1"]})
        assert {rsa, elliptic} <= set(both)
        acm.delete_certificate(CertificateArn=rsa)


def test_a_user_and_a_group_in_use_cannot_be_deleted(client):
    iam = client("iam")
    iam.create_user(UserName="held")
    iam.create_group(GroupName="holding")
    iam.add_user_to_group(GroupName="holding", UserName="held")
    key = iam.create_access_key(UserName="held")["AccessKey"]["AccessKeyId"]
    refused("DeleteConflict", "must remove users from group first", iam.delete_group, GroupName="holding")
    refused("DeleteConflict", "must remove user from all groups first", iam.delete_user, UserName="held")
    iam.remove_user_from_group(GroupName="holding", UserName="held")
    iam.delete_group(GroupName="holding")
    refused("DeleteConflict", "must delete access keys first", iam.delete_user, UserName="held")
    iam.delete_access_key(UserName="held", AccessKeyId=key)
    iam.delete_user(UserName="held")
