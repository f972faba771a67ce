"""Every list that the tutorial reads comes in pages if somebody wants it so, and whole if not."""

import json

import pytest
from botocore.exceptions import ClientError

PREFIX = "paging"


@pytest.fixture(scope="module")
def made(client, network, role):
    """Three of each."""
    elb, acm, logs, route53 = client("elbv2"), client("acm"), client("logs"), client("route53")
    role("lambda.amazonaws.com"), role("eks.amazonaws.com"), role("ec2.amazonaws.com")
    groups, certificates, zones = [], [], []
    for i in range(3):
        group = elb.create_target_group(Name=f"{PREFIX}-{i}", TargetType="lambda")["TargetGroups"][0]
        groups.append(group["TargetGroupArn"])
        asked = acm.request_certificate(DomainName=f"{PREFIX}{i}.example.com", ValidationMethod="DNS")
        certificates.append(asked["CertificateArn"])
        logs.create_log_group(logGroupName=f"{PREFIX}-{i}")
        zone = route53.create_hosted_zone(Name=f"{PREFIX}{i}.example.com", CallerReference=f"{PREFIX}{i}")
        zones.append(zone["HostedZone"]["Id"])
    yield
    for i in range(3):
        elb.delete_target_group(TargetGroupArn=groups[i])
        acm.delete_certificate(CertificateArn=certificates[i])
        logs.delete_log_group(logGroupName=f"{PREFIX}-{i}")
        route53.delete_hosted_zone(Id=zones[i])


@pytest.mark.parametrize(
    ("service", "operation", "key", "size"),
    [
        ("ec2", "describe_subnets", "Subnets", 5),
        ("ec2", "describe_security_groups", "SecurityGroups", 5),
        ("ec2", "describe_route_tables", "RouteTables", 5),
        ("elbv2", "describe_target_groups", "TargetGroups", 2),
        ("acm", "list_certificates", "CertificateSummaryList", 2),
        ("iam", "list_roles", "Roles", 2),
        ("iam", "list_policies", "Policies", 500),
        ("logs", "describe_log_groups", "logGroups", 2),
        ("route53", "list_hosted_zones", "HostedZones", 2),
    ],
)
def test_pages_hold_together_what_the_whole_list_has(client, made, service, operation, key, size):
    api = client(service)
    whole = getattr(api, operation)()[key] if service != "iam" else _all_pages(api, operation, key, 1000)
    pages = list(api.get_paginator(operation).paginate(PaginationConfig={"PageSize": size}))
    assert all(len(page[key]) <= size for page in pages)
    assert len(pages) == max(1, -(-len(whole) // size))
    assert _comparable([entry for page in pages for entry in page[key]]) == _comparable(whole)


def _all_pages(api, operation: str, key: str, size: int) -> list:
    pages = api.get_paginator(operation).paginate(PaginationConfig={"PageSize": size})
    return [entry for page in pages for entry in page[key]]


def _comparable(entries: list) -> list[str]:
    return [json.dumps(entry, sort_keys=True, default=str) for entry in entries]


@pytest.mark.parametrize(
    ("service", "operation", "token", "code"),
    [
        ("ec2", "describe_subnets", "NextToken", "InvalidNextToken"),
        ("elbv2", "describe_target_groups", "Marker", "ValidationError"),
        ("acm", "list_certificates", "NextToken", "ValidationException"),
        ("lambda", "list_functions", "Marker", "InvalidParameterValueException"),
    ],
)
def test_a_token_of_nobodys_is_refused(client, service, operation, token, code):
    with pytest.raises(ClientError) as refused:
        getattr(client(service), operation)(**{token: "bm90OmE="})
    assert refused.value.response["Error"]["Code"] == code
