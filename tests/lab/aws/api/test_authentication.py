"""Calls must be signed with valid keys; others are rejected with each service's own error."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
import requests
from botocore.auth import S3SigV4Auth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from lab.aws.api.principals import OWN
from tests.lab.aws.conftest import REGION

OURS = Credentials(OWN.access_key_id, OWN.secret)
WHO = "Action=GetCallerIdentity&Version=2011-06-15"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TOKEN, SIGNATURE = (
    "The security token included in the request is invalid.",
    "The request signature we calculated",
)
EC2 = ("AuthFailure", 401, "AWS was not able to validate the provided access credentials")
XML = [("InvalidClientTokenId", 403, TOKEN), ("SignatureDoesNotMatch", 403, SIGNATURE)]


@pytest.fixture(scope="module")
def as_who(aws) -> Callable[..., Any]:
    def make(service: str, *keys: str) -> Any:
        session = boto3.Session(*keys, region_name=REGION)
        return session.client(service, endpoint_url=aws.endpoint_url)

    return make


@pytest.mark.parametrize(
    ("service", "operation", "unknown", "altered"),
    [
        ("ec2", "describe_vpcs", EC2, EC2),
        ("sts", "get_caller_identity", *XML),
        ("iam", "list_roles", *XML),
        ("route53", "list_hosted_zones", *XML),
        ("lambda", "list_functions", ("UnrecognizedClientException", 403, TOKEN),
         ("InvalidSignatureException", 403, SIGNATURE)),
        ("acm", "list_certificates", ("UnrecognizedClientException", 400, TOKEN),
         ("InvalidSignatureException", 400, SIGNATURE)),
    ],
)  # fmt: skip
def test_unknown_key_and_wrong_secret_are_rejected(as_who, service, operation, unknown, altered):
    for keys, (code, status, said) in (
        (("AKIANOBODYHASTHISKEY", OWN.secret), unknown),
        ((OWN.access_key_id, "guessed"), altered),
    ):
        with pytest.raises(ClientError) as refused:
            getattr(as_who(service, *keys), operation)()
        answer = refused.value.response
        assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
        assert answer["Error"]["Message"].startswith(said)


def test_session_token_must_match_its_key(as_who):
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        as_who("sts", OWN.access_key_id, OWN.secret, "made up").get_caller_identity()


def test_inactive_key_is_rejected(client, as_who):
    iam = client("iam")
    iam.create_user(UserName="idle")
    key = iam.create_access_key(UserName="idle")["AccessKey"]
    sts = as_who("sts", key["AccessKeyId"], key["SecretAccessKey"])
    assert sts.get_caller_identity()["Arn"].endswith(":user/idle")
    iam.update_access_key(UserName="idle", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        sts.get_caller_identity()
    iam.delete_access_key(UserName="idle", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="idle")


def test_unsigned_requests_are_rejected(aws):
    answer = requests.post(f"{aws.endpoint_url}/", data=WHO, headers=FORM)
    assert (answer.status_code, "MissingAuthenticationToken" in answer.text) == (403, True)


def signed(endpoint: str, body: str = WHO, ago: timedelta = timedelta()) -> AWSRequest:
    request = AWSRequest("POST", f"{endpoint}/", headers=FORM, data=body)
    auth = SigV4Auth(OURS, "sts", REGION)
    request.context["timestamp"] = f"{datetime.now(UTC) - ago:%Y%m%dT%H%M%SZ}"
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    auth._inject_signature_to_request(request, signature)
    return request


@pytest.mark.parametrize(
    ("ago", "body", "status", "said"),
    [
        (timedelta(minutes=4), WHO, 200, "user/lab"),
        (timedelta(minutes=-4), WHO, 200, "user/lab"),
        (timedelta(minutes=6), WHO, 403, "Signature expired"),
        (timedelta(minutes=-6), WHO, 403, "Signature not yet current"),
        (timedelta(), WHO.replace("GetCallerIdentity", "GetSessionToken"), 403, SIGNATURE),
    ],
)
def test_a_request_is_valid_for_minutes_and_only_unmodified(aws, ago, body, status, said):
    request = signed(aws.endpoint_url, ago=ago)
    answer = requests.post(request.url, data=body, headers=dict(request.headers))
    assert answer.status_code == status, answer.text
    assert said in answer.text


def test_presigned_urls_are_verified(aws):
    request = AWSRequest("GET", f"{aws.endpoint_url}/?{WHO}")
    SigV4QueryAuth(OURS, "sts", REGION, 60).add_auth(request)
    assert requests.get(request.url).status_code == 200
    altered = requests.get(request.url.replace("GetCallerIdentity", "GetSessionToken"))
    assert (altered.status_code, "SignatureDoesNotMatch" in altered.text) == (403, True)


def test_a_path_with_an_arn_and_a_query_are_signed_as_sent(as_who):
    functions = as_who("lambda", OWN.access_key_id, OWN.secret)
    arn = f"arn:aws:lambda:{REGION}:123456789012:function:none"
    with pytest.raises(functions.exceptions.ResourceNotFoundException):
        functions.get_function(FunctionName=arn, Qualifier="$LATEST")


def test_a_signature_for_one_service_is_not_valid_for_another(aws):
    """moto takes the service from the first word of the header, wherever the credential is."""
    request = signed(aws.endpoint_url)
    header = request.headers["Authorization"]
    assert "user/lab" in requests.post(request.url, data=WHO, headers=dict(request.headers)).text
    elsewhere = OWN.access_key_id + f"/{datetime.now(UTC):%Y%m%d}/{REGION}/iam/aws4_request, Credential="
    altered = dict(request.headers) | {"Authorization": header.replace("Credential=", elsewhere, 1)}
    assert requests.post(request.url, data=WHO, headers=altered).status_code == 403


@pytest.mark.parametrize(
    "path", ["/moto-api/", "/moto-api/data.json", "/moto-api/reset", "/latest/meta-data/"]
)
def test_motos_own_pages_are_not_served_even_to_signed_requests(aws, client, path):
    vpcs = client("ec2").describe_vpcs()["Vpcs"]
    for method in ("GET", "POST", "PUT"):
        assert requests.request(method, aws.endpoint_url + path).status_code == 403
        # For S3, this is an object in a bucket of that name.
        request = AWSRequest(method, aws.endpoint_url + path)
        S3SigV4Auth(OURS, "s3", REGION).add_auth(request)
        answer = requests.request(method, request.url, headers=dict(request.headers))
        assert answer.status_code in (400, 404), answer.text
    assert client("ec2").describe_vpcs()["Vpcs"] == vpcs
