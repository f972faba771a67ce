"""EKS tokens: those that the AWS CLI creates, and those that must be rejected."""

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lab.aws.api.principals import OWN
from lab.aws.server import Aws
from lab.aws.services.eks.tokens import user, verify
from lab.cluster.token_review import TokenWebhook, UnauthenticatedError
from tests.lab.aws.conftest import cli_environment


def make_token(
    endpoint: str,
    cluster: str = "tutorial",
    key: str = OWN.access_key_id,
    secret: str = OWN.secret,
    expires: int = 60,
    action: str = "GetCallerIdentity",
    headers: bool = True,
    session_token: str | None = None,
) -> str:
    """Create one as `aws eks get-token` does."""
    url = f"{endpoint}/?Action={action}&Version=2011-06-15"
    request = AWSRequest("GET", url, headers={"x-k8s-aws-id": cluster} if headers else {})
    SigV4QueryAuth(Credentials(key, secret, session_token), "sts", "eu-central-1", expires).add_auth(request)
    return encode(request.url)


def encode(url: str) -> str:
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def decode(token: str) -> str:
    return base64.urlsafe_b64decode(token.removeprefix("k8s-aws-v1.") + "==").decode()


STS = "https://sts.eu-central-1.amazonaws.com"


@pytest.mark.parametrize("endpoint", [STS, "https://sts.amazonaws.com", "own"])
def test_a_valid_token_identifies_its_creator(aws: Aws, endpoint):
    token = make_token(aws.endpoint_url if endpoint == "own" else endpoint)
    assert verify(token, "tutorial", aws.endpoint_url) == OWN


def test_a_token_is_valid_for_fifteen_minutes(aws: Aws):
    token, now = make_token(STS), datetime.now(UTC)
    assert verify(token, "tutorial", aws.endpoint_url, now + timedelta(minutes=14))
    with pytest.raises(UnauthenticatedError, match="expired"):
        verify(token, "tutorial", aws.endpoint_url, now + timedelta(minutes=15, seconds=1))
    with pytest.raises(UnauthenticatedError, match="future"):
        verify(token, "tutorial", aws.endpoint_url, now - timedelta(minutes=6))


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"cluster": "another"}, "signature does not match"),
        ({"secret": "guessed"}, "signature does not match"),
        ({"key": "AKIANOBODYHASTHISKEY"}, "security token"),
        ({"headers": False}, "did not sign the x-k8s-aws-id header"),
        ({"action": "GetSessionToken"}, "unexpected action"),
        ({"expires": 901}, "X-Amz-Expires"),
        ({"endpoint": "https://sts.example.com"}, "unexpected hostname"),
        ({"endpoint": "https://sts.eu-central-1.amazonaws.com.example.com"}, "unexpected hostname"),
        ({"endpoint": "http://sts.eu-central-1.amazonaws.com"}, "unexpected hostname"),
        ({"session_token": "made up"}, "security token"),
    ],
)
def test_a_signed_but_invalid_token_is_rejected(aws: Aws, parameters, why):
    token = make_token(**{"endpoint": STS} | parameters)
    with pytest.raises(UnauthenticatedError, match=why):
        verify(token, "tutorial", aws.endpoint_url)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda url: url[:-4] + "0000", "signature does not match"),
        (lambda url: url.replace("Expires=60", "Expires=61"), "signature does not match"),
        (lambda url: url.split("&X-Amz-Algorithm")[0], "not signed"),
        (lambda url: url + "&extra=1", "whitelist"),
        (lambda url: url + "&Action=GetCallerIdentity", "repeated"),
        (lambda url: url.replace("amazonaws.com/?", "amazonaws.com/path?"), "unexpected hostname"),
        (lambda url: url.replace("%2Fsts%2F", "%2Fiam%2F"), "did not sign"),
        (lambda url: url.replace("X-Amz-Date=2", "X-Amz-Date=x"), "parsing X-Amz-Date"),
        (lambda url: "", "unexpected hostname"),
    ],
)
def test_a_modified_token_is_rejected(aws: Aws, change, why):
    token = encode(change(decode(make_token(STS))))
    with pytest.raises(UnauthenticatedError, match=why):
        verify(token, "tutorial", aws.endpoint_url)


@pytest.mark.parametrize(
    "garbage", ["", "k8s-aws-v1.", "k8s-aws-v1.%%%", "k8s-aws-v1.__79", "eyJhbGciOi", "k8s-aws-v2.aaaa"]
)
def test_garbage_is_rejected(aws: Aws, garbage):
    with pytest.raises(UnauthenticatedError):
        verify(garbage, "tutorial", aws.endpoint_url)


def test_keys_from_iam_and_sts_are_accepted(aws: Aws, client, role):
    iam = client("iam")
    iam.create_user(UserName="reader")
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    token = make_token(STS, key=key["AccessKeyId"], secret=key["SecretAccessKey"])
    assert verify(token, "tutorial", aws.endpoint_url).arn.endswith(":user/reader")
    arn = role("ec2.amazonaws.com")
    assumed = client("sts").assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"]
    token = make_token(
        STS,
        key=assumed["AccessKeyId"],
        secret=assumed["SecretAccessKey"],
        session_token=assumed["SessionToken"],
    )
    assert ":assumed-role/" in verify(token, "tutorial", aws.endpoint_url).arn
    iam.delete_access_key(UserName="reader", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="reader")


def review(webhook: TokenWebhook, token: str) -> dict:
    url = webhook.kubeconfig["clusters"][0]["cluster"]["server"]
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request) as answer:
        return json.load(answer)["status"]


def test_the_webhook_accepts_only_the_clusters_creator(aws: Aws):
    webhook = TokenWebhook(None, lambda token: user(token, "tutorial", aws.endpoint_url, OWN.arn))
    status = review(webhook, make_token(STS))
    assert status["authenticated"] is True
    assert status["user"]["username"] == OWN.arn
    assert status["user"]["groups"] == ["system:masters"]
    assert review(webhook, make_token(STS, cluster="other"))["authenticated"] is False
    webhook.close()
    somebody = "arn:aws:iam::123456789012:user/other"
    other = TokenWebhook(None, lambda token: user(token, "tutorial", aws.endpoint_url, somebody))
    status = review(other, make_token(STS))
    assert status["authenticated"] is False
    assert "no access entry" in status["error"]
    other.close()


def test_tokens_from_the_aws_cli_are_accepted(aws: Aws):
    environment = cli_environment(aws.endpoint_url)
    command = [sys.executable, Path(sys.executable).with_name("aws"), "eks", "get-token"]
    for region in ("us-east-1", "eu-central-1"):
        answer = subprocess.run(
            [*command, "--cluster-name", "tutorial", "--region", region],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert answer.returncode == 0, answer.stderr
        token = json.loads(answer.stdout)["status"]["token"]
        assert urlsplit(decode(token)).query.startswith(urlencode({"Action": "GetCallerIdentity"}))
        assert verify(token, "tutorial", aws.endpoint_url) == OWN
