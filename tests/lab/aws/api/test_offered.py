"""The lab reports what it does not offer, to every client; the table matches AWS's own model."""

import subprocess
import sys
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from lab.aws.api import offered
from tests.lab.aws.conftest import cli_environment

MODELS = botocore.session.get_session()
CODE = "UnsupportedOperation"
NOT_THERE = [
    ("ec2", "create_vpc_peering_connection", {"VpcId": "vpc-0"}, "ec2 CreateVpcPeeringConnection"),
    ("ec2", "create_vpc", {"CidrBlock": "10.9.0.0/16", "InstanceTenancy": "dedicated"},
     "the parameter InstanceTenancy of ec2 CreateVpc"),
    ("ec2", "describe_vpcs", {"MaxResults": 5}, "the parameter MaxResults of ec2 DescribeVpcs"),
    ("ec2", "describe_vpcs", {"Filters": [{"Name": "tag:a", "Values": ["b"]}, {"Name": "colour"}]},
     "the filter colour of ec2 DescribeVpcs"),
    ("lambda", "create_function",
     {"FunctionName": "f", "Role": "arn:aws:iam::123456789012:role/r", "Code": {"S3Bucket": "mine"}},
     "the parameter Code.S3Bucket of lambda CreateFunction"),
    ("route53", "change_resource_record_sets",
     {"HostedZoneId": "Z0", "ChangeBatch": {"Changes": [
         {"Action": "CREATE", "ResourceRecordSet": {"Name": "a", "Type": "A"}},
         {"Action": "CREATE", "ResourceRecordSet": {"Name": "a", "Type": "A", "Weight": 1}},
     ]}},
     "the parameter ChangeBatch.Changes.ResourceRecordSet.Weight of route53 ChangeResourceRecordSets"),
    ("eks", "create_fargate_profile",
     {"fargateProfileName": "f", "clusterName": "c", "podExecutionRoleArn": "arn"},
     "eks CreateFargateProfile"),
    ("route53", "create_health_check",
     {"CallerReference": "now", "HealthCheckConfig": {"Type": "TCP"}},
     "route53 CreateHealthCheck"),
    ("s3", "put_bucket_versioning",
     {"Bucket": "b", "VersioningConfiguration": {"Status": "Enabled"}}, "s3 PutBucketVersioning"),
    ("dynamodb", "list_tables", {}, "dynamodb"),
    ("sqs", "list_queues", {}, "sqs"),
    ("cloudformation", "list_stacks", {}, "cloudformation"),
    ("cloudwatch", "list_metrics", {}, "monitoring"),
    ("apigatewayv2", "get_apis", {}, "apigateway"),
    ("pricing", "describe_services", {}, "pricing"),
]  # fmt: skip


@pytest.mark.parametrize(("service", "operation", "parameters", "named"), NOT_THERE)
def test_unsupported_calls_are_rejected_by_name(client, service, operation, parameters, named):
    with pytest.raises(ClientError) as refused:
        getattr(client(service), operation)(**parameters)
    answer = refused.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (CODE, 400)
    assert answer["ResponseMetadata"]["RetryAttempts"] == 0
    assert answer["Error"]["Message"].startswith(f"The lab does not offer {named}: ")


def test_supported_calls_and_the_sdks_own_tokens_are_accepted(client, network):
    ec2 = client("ec2")
    table = ec2.create_route_table(VpcId=network.vpc_id)["RouteTable"]  # boto3 adds a ClientToken
    assert table["VpcId"] == network.vpc_id
    ec2.delete_route_table(RouteTableId=table["RouteTableId"])
    with pytest.raises(ClientError, match="DryRunOperation"):
        ec2.create_vpc(CidrBlock="10.9.0.0/16", DryRun=True)


def test_the_cli_shows_the_message(aws):
    environment = cli_environment(aws.endpoint_url)
    command = [
        sys.executable,
        Path(sys.executable).with_name("aws"),
        "ec2",
        "describe-vpcs",
        "--page-size",
        "5",
    ]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert answer.returncode != 0
    said = "when calling the DescribeVpcs operation: The lab does not offer the parameter MaxResults"
    assert f"({CODE}) {said} of ec2 DescribeVpcs" in answer.stderr


@pytest.mark.parametrize("service", offered.TABLE)
def test_the_service_model_has_every_operation_and_parameter(service):
    model = MODELS.get_service_model(service)
    for operation, rules in offered.TABLE[service].items():
        assert rules.keys() <= {"obeyed", "kept", "filters"}
        for name in [*rules.get("obeyed", []), *rules.get("kept", [])] if operation != "*" else []:
            assert known(model.operation_model(operation).input_shape, name.split(".")), f"{operation} {name}"


FILTERS = [(name, one) for name, rules in offered.TABLE["ec2"].items() for one in rules.get("filters", [])]


@pytest.mark.parametrize(("operation", "name"), FILTERS)
def test_a_supported_filter_filters(client, network, operation, name):
    parameter = "Filter" if operation == "DescribeNatGateways" else "Filters"
    wanted = {parameter: [{"Name": name.replace("*", "none"), "Values": ["none"]}]}
    answer = getattr(client("ec2"), xform_name(operation))(**wanted)
    del answer["ResponseMetadata"]
    assert not any(answer.values())


def known(shape, names: list[str]) -> bool:
    while shape.type_name == "list":
        shape = shape.member
    return not names or (names[0] in shape.members and known(shape.members[names[0]], names[1:]))
