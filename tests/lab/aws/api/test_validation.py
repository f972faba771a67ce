"""Calls are held against the service's model: also those that no SDK would send."""

import json

import boto3
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from werkzeug.test import EnvironBuilder

from lab.aws.api.call import Unreadable, read
from lab.settings import ACCESS_KEY_ID, SECRET_ACCESS_KEY

REGION = "eu-central-1"
ROLE = "arn:aws:iam::123456789012:role/nobody"
CODE = {"ZipFile": b"no zip"}
ONE = "1 validation error detected: Value"
MUST = "failed to satisfy constraint: Member must"
MATCH = f"{MUST} satisfy regular expression pattern: "
AT_MOST, AT_LEAST = f"{MUST} have value less than or equal to", f"{MUST} have value greater than or equal to"
SHORT, LONG = f"{MUST} have length less than or equal to", f"{MUST} have length greater than or equal to"
FUNCTION = {"FunctionName": "f", "Role": ROLE, "Code": CODE}
RECORD = {"Name": "a.example.com", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}


def change(record: dict) -> dict:
    return {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}


# service, operation, parameters that are refused, code, message; parameters that are not, and what comes then
REFUSALS = [
    ("ec2", "create_subnet", {"CidrBlock": "10.0.0.0/24"}, "MissingParameter",
     "The request must contain the parameter vpcId",
     {"CidrBlock": "10.0.0.0/24", "VpcId": "vpc-0"}, "InvalidVpcID.NotFound"),
    ("ec2", "create_vpc", {"CidrBlock": "10.0.0.0/16", "InstanceTenancy": "shared"}, "InvalidParameterValue",
     "Value (shared) for parameter instanceTenancy is invalid.",
     {"CidrBlock": "10.0.0.0/4", "InstanceTenancy": "default"}, "InvalidVpc.Range"),
    ("ec2", "describe_nat_gateways", {"MaxResults": 4}, "InvalidParameterValue",
     "Value (4) for parameter maxResults is invalid.", {"MaxResults": 5}, None),
    ("elbv2", "describe_load_balancers", {"PageSize": 500}, "ValidationError",
     f"{ONE} '500' at 'pageSize' {AT_MOST} 400",
     {"PageSize": 400}, None),
    ("elbv2", "create_load_balancer", {"Name": "b", "Scheme": "private"}, "ValidationError",
     f"{ONE} 'private' at 'scheme' {MUST} satisfy enum value set: "
     "[internet-facing, internal]",
     {"Name": "b", "Scheme": "internal", "Subnets": ["subnet-0"]}, "SubnetNotFound"),
    ("elbv2", "create_target_group", {"Name": "t", "TargetType": "lambda", "Tags": [{"Key": ""}]},
     "ValidationError",
     f"{ONE} '' at 'tags.1.member.key' {LONG} 1",
     {"Name": "missing"}, "ValidationError"),
    ("elb", "describe_tags", {"LoadBalancerNames": []}, "ValidationError", "loadBalancerNames",
     {"LoadBalancerNames": ["none"]}, "LoadBalancerNotFound"),
    ("iam", "get_role", {"RoleName": "a b"}, "ValidationError",
     "The specified value for roleName is invalid. It must contain only alphanumeric characters and/or the "
     "following: +=,.@_-",
     {"RoleName": "a-b"}, "NoSuchEntity"),
    ("iam", "get_role", {"RoleName": "r" * 65}, "ValidationError",
     f"{ONE} '{'r' * 65}' at 'roleName' {SHORT} 64",
     {"RoleName": "r" * 64}, "NoSuchEntity"),
    ("iam", "tag_role", {"RoleName": "r", "Tags": [{"Key": "a*", "Value": ""}]}, "ValidationError",
     f"{ONE} 'a*' at 'tags.1.member.key' {MATCH}",
     {"RoleName": "r", "Tags": [{"Key": "ä b", "Value": ""}]}, "NoSuchEntity"),
    ("lambda", "create_function", {"FunctionName": "f", "Role": ROLE}, "ValidationException",
     f"{ONE} null at 'code' {MUST} not be null",
     {**FUNCTION, "Runtime": "python3.13", "Handler": "a.b"}, "InvalidParameterValueException"),
    ("lambda", "create_function", {**FUNCTION, "Role": "nobody", "MemorySize": 64}, "ValidationException",
     f"2 validation errors detected: Value 'nobody' at 'role' {MATCH}",
     {**FUNCTION, "MemorySize": 128}, "InvalidParameterValueException"),
    ("lambda", "get_function", {"FunctionName": "no spaces"}, "ValidationException",
     f"{ONE} 'no spaces' at 'functionName' {MATCH}",
     {"FunctionName": "none"}, "ResourceNotFoundException"),
    ("lambda", "list_functions", {"MaxItems": 10001}, "ValidationException",
     f"Value '10001' at 'maxItems' {AT_MOST} 10000", {"MaxItems": 5}, None),
    ("eks", "create_cluster", {"name": "a", "resourcesVpcConfig": {}}, "InvalidParameterException",
     f"{ONE} null at 'roleArn' {MUST} not be null",
     {"name": "a", "roleArn": ROLE, "resourcesVpcConfig": {}}, "InvalidParameterException"),
    ("eks", "create_cluster", {"name": "a b", "roleArn": ROLE, "resourcesVpcConfig": {}},
     "InvalidParameterException", "The parameter name contains invalid characters. It should conform to",
     {"name": "a-b", "roleArn": ROLE, "resourcesVpcConfig": {}}, "InvalidParameterException"),
    ("acm", "describe_certificate", {"CertificateArn": "certificate/none-of-ours"}, "ValidationException",
     f"Value 'certificate/none-of-ours' at 'certificateArn' {MATCH}arn:",
     {"CertificateArn": f"arn:aws:acm:{REGION}:123456789012:certificate/none"}, "ResourceNotFoundException"),
    ("logs", "create_log_group", {"logGroupName": "a b"}, "InvalidParameterException",
     f"{ONE} 'a b' at 'logGroupName' {MATCH}",
     {"logGroupName": "a-b"}, None),
    ("logs", "put_retention_policy", {"logGroupName": "none"}, "InvalidParameterException",
     f"{ONE} null at 'retentionInDays' {MUST} not be null",
     {"logGroupName": "none", "retentionInDays": 7}, "ResourceNotFoundException"),
    ("route53", "list_tags_for_resource", {"ResourceType": "hostedzone", "ResourceId": "Z" * 33},
     "InvalidInput",
     f"{ONE} '{'Z' * 33}' at 'resourceId' {SHORT} 32",
     {"ResourceType": "hostedzone", "ResourceId": "Z0"}, "NoSuchHostedZone"),
    ("route53", "change_resource_record_sets",
     {"HostedZoneId": "Z0", "ChangeBatch": change({**RECORD, "Type": "ALIAS"})}, "InvalidInput",
     "Invalid XML ; cvc-enumeration-valid: Value 'ALIAS' is not facet-valid with respect to enumeration '[",
     {"HostedZoneId": "Z0", "ChangeBatch": change(RECORD)}, "NoSuchHostedZone"),
    ("sts", "assume_role", {"RoleArn": ROLE, "RoleSessionName": "session", "DurationSeconds": 60},
     "ValidationError",
     f"{ONE} '60' at 'durationSeconds' {AT_LEAST} 900",
     {"RoleArn": ROLE, "RoleSessionName": "session"}, None),
    ("resourcegroupstaggingapi", "get_resources", {"TagFilters": [{"Key": "k" * 129}]},
     "InvalidParameterException", f"'tagFilters.1.member.key' {SHORT} 128",
     {"TagFilters": [{"Key": "k"}]}, None),
]  # fmt: skip


@pytest.fixture(scope="module")
def unchecked(aws):
    """Clients that send whatever they are given."""
    session = boto3.Session(ACCESS_KEY_ID, SECRET_ACCESS_KEY, region_name=REGION)
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1})
    return lambda service: session.client(service, endpoint_url=aws.endpoint_url, config=config)


@pytest.mark.parametrize(("service", "operation", "wrong", "code", "said", "right", "then"), REFUSALS)
def test_what_the_model_forbids(unchecked, service, operation, wrong, code, said, right, then):
    call = getattr(unchecked(service), operation)
    with pytest.raises(ClientError) as refused:
        call(**wrong)
    error = refused.value.response["Error"]
    assert error["Code"] == code and said in error["Message"]
    if then is None:
        assert call(**right)["ResponseMetadata"]["HTTPStatusCode"] in (200, 201)
        return
    with pytest.raises(ClientError) as other:
        call(**right)
    assert other.value.response["Error"]["Code"] == then and said not in str(other.value)


@pytest.fixture(scope="module")
def send(aws):
    """Sends a signed request as it is; returns status and body."""

    def send(service: str, path: str, body: str, method: str = "POST", **headers: str) -> tuple[int, str]:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        request = AWSRequest(method, aws.endpoint_url + path, headers=headers, data=body)
        SigV4Auth(Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY), service, REGION).add_auth(request)
        answer = requests.request(method, request.url, headers=dict(request.headers), data=body)
        return answer.status_code, answer.text

    return send


FORM = {"Content_Type": "application/x-www-form-urlencoded"}
JSON = {"Content_Type": "application/x-amz-json-1.1"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"logGroupNamePrefix": 7}', "NUMBER_VALUE can not be converted to a String"),
        ('{"limit": "7"}', "STRING_VALUE can not be converted to an Integer"),
        ('{"limit": true}', "BOOLEAN_VALUE can not be converted to an Integer"),
        ('{"logGroupNamePrefix": ["/"]}', "Start of list found where not expected"),
        ('{"accountIdentifiers": "me"}', "Expected list or null"),
        ('{"limit": ', ""),
        ("[]", "Unexpected field type"),
    ],
)
def test_json_of_other_types(send, body, said):
    target = {"X_Amz_Target": "Logs_20140328.DescribeLogGroups"}
    status, answer = send("logs", "/", body, **JSON, **target)
    assert status == 400 and json.loads(answer)["__type"] == "SerializationException" and said in answer
    status, answer = send("logs", "/", '{"limit": 7, "unknown": {}}', **JSON, **target)
    assert status == 200 and "logGroups" in json.loads(answer)


def test_what_is_no_call(send):
    status, answer = send("ec2", "/", "Action=MakeVpc&Version=2016-11-15", **FORM)
    assert status == 400 and "<Code>InvalidAction</Code>" in answer
    assert "The action MakeVpc is not valid for this web service." in answer
    status, answer = send("logs", "/", "{}", **JSON, X_Amz_Target="Logs_20140328.MakeLogs")
    assert status == 400 and "UnknownOperationException" in answer
    assert send("eks", "/no-such-path", "", method="GET")[0] == 404
    status, answer = send("route53", "/2013-04-01/hostedzone", "<CreateHostedZoneRequest>")
    assert status == 400 and "<Code>MalformedInput</Code>" in answer
    status, answer = send("ec2", "/", "Action=DescribeVpcs&Version=2016-11-15&MaxResults=many", **FORM)
    assert status == 400 and "<Code>InvalidParameterValue</Code>" in answer
    status, answer = send("ec2", "/", "Action=DescribeVpcs&Version=2016-11-15&MaxResults=5", **FORM)
    assert status == 200 and "<vpcSet" in answer


def test_what_cannot_be_held_against_a_model_is_passed_on():
    def environ(authorization: str) -> dict:
        return EnvironBuilder("/", headers={"Authorization": authorization}).get_environ()

    signed = "AWS4-HMAC-SHA256 Credential=AKIA/20261124/eu-central-1/{}/aws4_request, Signature=0"
    assert read(environ("Basic bGFi")) is None
    assert read(environ(signed.format("no-such-service"))) is None
    with pytest.raises(Unreadable, match="InvalidAction"):
        read(environ(signed.format("ec2")))
