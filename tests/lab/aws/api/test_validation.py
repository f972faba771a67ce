"""Calls are validated against the service's model, including calls that no SDK would send."""

import json

import boto3
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from lab.aws.api.principals import OWN

REGION = "eu-central-1"
ROLE = "arn:aws:iam::123456789012:role/nobody"
CODE = {"ZipFile": b"no zip"}
FUNCTION = {"FunctionName": "f", "Role": ROLE, "Code": CODE}
RECORD = {"Name": "a.example.com", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}


def change(record: dict) -> dict:
    return {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}


# service, operation, invalid parameters, code, message; valid parameters, and the result of that call
REFUSALS = [
    ("ec2", "create_subnet", {"CidrBlock": "10.0.0.0/24"}, "MissingParameter",
     'Missing required parameter in input: "VpcId"',
     {"CidrBlock": "10.0.0.0/24", "VpcId": "vpc-0"}, "InvalidVpcID.NotFound"),
    ("ec2", "allocate_address", {"Domain": "moon"}, "InvalidParameterValue",
     "Invalid value for parameter Domain: 'moon' is none of vpc, standard", {"Domain": "vpc"}, None),
    ("elbv2", "create_target_group",
     {"Name": "t", "TargetType": "lambda", "HealthCheckTimeoutSeconds": 121}, "ValidationError",
     "Invalid value for parameter HealthCheckTimeoutSeconds: 121 is greater than 120",
     {"Name": "missing"}, "UnsupportedOperation"),
    ("elbv2", "create_load_balancer", {"Name": "b", "Scheme": "private"}, "ValidationError",
     "Scheme: 'private' is none of internet-facing, internal",
     {"Name": "b", "Scheme": "internal", "Subnets": ["subnet-0"]}, "SubnetNotFound"),
    ("elbv2", "create_target_group", {"Name": "t", "TargetType": "lambda", "Tags": [{"Key": ""}]},
     "ValidationError", "Invalid length for parameter Tags[0].Key, value: 0, valid min length: 1",
     {"Name": "missing"}, "UnsupportedOperation"),
    ("elb", "describe_tags", {"LoadBalancerNames": []}, "ValidationError", "LoadBalancerNames",
     {"LoadBalancerNames": ["none"]}, "LoadBalancerNotFound"),
    ("iam", "get_role", {"RoleName": "a b"}, "ValidationError",
     "Invalid value for parameter RoleName: 'a b' does not match [", {"RoleName": "a-b"}, "NoSuchEntity"),
    ("iam", "get_role", {"RoleName": "r" * 65}, "ValidationError", "has a length greater than 64",
     {"RoleName": "r" * 64}, "NoSuchEntity"),
    ("iam", "tag_role", {"RoleName": "r", "Tags": [{"Key": "a*", "Value": ""}]}, "ValidationError",
     "Invalid value for parameter Tags[0].Key: 'a*' does not match",
     {"RoleName": "r", "Tags": [{"Key": "ä b", "Value": ""}]}, "NoSuchEntity"),
    ("lambda", "create_function", {"FunctionName": "f", "Role": ROLE}, "ValidationException",
     'Missing required parameter in input: "Code"',
     {**FUNCTION, "Runtime": "python3.13", "Handler": "a.b"}, "InvalidParameterValueException"),
    ("lambda", "create_function", {**FUNCTION, "Role": "nobody", "MemorySize": 64}, "ValidationException",
     "Invalid value for parameter MemorySize, value: 64, valid min value: 128",
     {**FUNCTION, "MemorySize": 128}, "InvalidParameterValueException"),
    ("lambda", "get_function", {"FunctionName": "no spaces"}, "ValidationException",
     "FunctionName: 'no spaces' does not match", {"FunctionName": "none"}, "ResourceNotFoundException"),
    ("eks", "create_cluster", {"name": "a", "resourcesVpcConfig": {}}, "InvalidParameterException",
     'Missing required parameter in input: "roleArn"',
     {"name": "a", "roleArn": ROLE, "resourcesVpcConfig": {}}, "InvalidParameterException"),
    ("acm", "describe_certificate", {"CertificateArn": "certificate/none-of-ours"}, "ValidationException",
     "CertificateArn: 'certificate/none-of-ours' does not match",
     {"CertificateArn": f"arn:aws:acm:{REGION}:123456789012:certificate/none"}, "ResourceNotFoundException"),
    ("logs", "create_log_group", {"logGroupName": "a b"}, "InvalidParameterException",
     "logGroupName: 'a b' does not match", {"logGroupName": "a-b"}, None),
    ("route53", "list_tags_for_resource", {"ResourceType": "hostedzone", "ResourceId": "Z" * 65},
     "InvalidInput", "has a length greater than 64",
     {"ResourceType": "hostedzone", "ResourceId": "Z0"}, "NoSuchHostedZone"),
    ("route53", "change_resource_record_sets",
     {"HostedZoneId": "Z0", "ChangeBatch": change({**RECORD, "Type": "ALIAS"})}, "InvalidInput",
     "ChangeBatch.Changes[0].ResourceRecordSet.Type: 'ALIAS' is none of SOA, A,",
     {"HostedZoneId": "Z0", "ChangeBatch": change(RECORD)}, "NoSuchHostedZone"),
    ("sts", "assume_role", {"RoleArn": ROLE, "RoleSessionName": "session", "DurationSeconds": 60},
     "ValidationError", "DurationSeconds, value: 60, valid min value: 900",
     {"RoleArn": ROLE, "RoleSessionName": "session"}, None),
    ("resourcegroupstaggingapi", "get_resources", {"TagFilters": [{"Key": "k" * 129}]},
     "InvalidParameterException", "TagFilters[0].Key: ", {"TagFilters": [{"Key": "k"}]}, None),
]  # fmt: skip


@pytest.fixture(scope="module")
def unchecked(aws):
    """Clients that do not validate parameters."""
    session = boto3.Session(OWN.access_key_id, OWN.secret, region_name=REGION)
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1})
    return lambda service: session.client(service, endpoint_url=aws.endpoint_url, config=config)


@pytest.mark.parametrize(("service", "operation", "wrong", "code", "said", "right", "then"), REFUSALS)
def test_violations_of_the_model_are_rejected(unchecked, service, operation, wrong, code, said, right, then):
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
        SigV4Auth(Credentials(OWN.access_key_id, OWN.secret), service, REGION).add_auth(request)
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
        ('{"limit": ', ""),
        ("[]", "Unexpected field type"),
    ],
)
def test_wrong_json_types_are_rejected(send, body, said):
    target = {"X_Amz_Target": "Logs_20140328.DescribeLogGroups"}
    status, answer = send("logs", "/", body, **JSON, **target)
    assert status == 400 and json.loads(answer)["__type"] == "SerializationException" and said in answer
    status, answer = send("logs", "/", '{"limit": 7, "unknown": {}}', **JSON, **target)
    assert status == 200 and "logGroups" in json.loads(answer)


def test_malformed_requests_are_rejected(send):
    status, answer = send("ec2", "/", "Action=MakeVpc&Version=2016-11-15", **FORM)
    assert status == 400 and "<Code>InvalidAction</Code>" in answer
    assert "The action MakeVpc is not valid for this web service." in answer
    status, answer = send("logs", "/", "{}", **JSON, X_Amz_Target="Logs_20140328.MakeLogs")
    assert status == 400 and "UnknownOperationException" in answer
    assert send("eks", "/no-such-path", "", method="GET")[0] == 404
    status, answer = send("route53", "/2013-04-01/hostedzone", "<CreateHostedZoneRequest>")
    assert status == 400 and "<Code>MalformedInput</Code>" in answer
    status, answer = send("ec2", "/", "Action=CreateVolume&Version=2016-11-15&Size=many", **FORM)
    assert status == 400 and "<Code>InvalidParameterValue</Code>" in answer
    status, answer = send("ec2", "/", "Action=DescribeVpcs&Version=2016-11-15", **FORM)
    assert status == 200 and "<vpcSet" in answer
