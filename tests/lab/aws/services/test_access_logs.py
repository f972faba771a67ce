"""A load balancer's access log in a bucket: who can enable it, and what is delivered."""

import gzip
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import tenacity
from botocore.exceptions import ClientError

from lab.aws import delays
from lab.aws.api.principals import OWN
from lab.settings import ACCOUNT_ID
from tests.lab.aws.conftest import REGION, cli_environment

NAME, BUCKET = "logged", "logs-of-a-balancer"
DELIVERY = "logdelivery.elasticloadbalancing.amazonaws.com"
QUICK = {"Delay": 1, "MaxAttempts": 40}
HERE = {"LocationConstraint": REGION}


def policy(principal: str = DELIVERY, path: str = f"AWSLogs/{ACCOUNT_ID}/*", **more: Any) -> str:
    statement = {"Principal": {"Service": principal}, "Action": "s3:PutObject", "Effect": "Allow"}
    statement |= {"Resource": f"arn:aws:s3:::{BUCKET}/{path}", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement, over_tls()]})


def over_tls() -> dict[str, Any]:
    """Denies everything that does not use TLS."""
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    resources = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    return {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": resources,
        "Condition": condition,
    }


@pytest.fixture
def bucket(s3) -> Iterator[str]:
    """A bucket that ELB can write to."""
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=HERE)
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy())
    yield BUCKET
    for key in keys(s3):
        s3.delete_object(Bucket=BUCKET, Key=key)
    s3.delete_bucket(Bucket=BUCKET)


@pytest.fixture(scope="module")
def balancer(client, network) -> Iterator[dict[str, Any]]:
    """A load balancer whose target group has no target: it responds with 503 itself."""
    elb = client("elbv2")
    made = elb.create_load_balancer(Name=NAME, Subnets=network.subnet_ids, Scheme="internal")["LoadBalancers"]
    arn = made[0]["LoadBalancerArn"]
    elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[arn], WaiterConfig=QUICK)
    group = elb.create_target_group(Name=NAME, TargetType="lambda")["TargetGroups"][0]["TargetGroupArn"]
    forward = {"Type": "forward", "TargetGroupArn": group}
    elb.create_listener(LoadBalancerArn=arn, Port=80, Protocol="HTTP", DefaultActions=[forward])
    yield made[0]
    elb.delete_load_balancer(LoadBalancerArn=arn)
    elb.delete_target_group(TargetGroupArn=group)


@pytest.fixture
def modify(client, balancer) -> Iterator[Callable[..., None]]:
    """Sets attributes; the log is disabled afterwards."""
    elb, arn = client("elbv2"), balancer["LoadBalancerArn"]

    def set_(enabled: str = "true", bucket: str = BUCKET, prefix: str = "") -> None:
        values = {"enabled": enabled, "bucket": bucket, "prefix": prefix}
        attributes = [{"Key": f"access_logs.s3.{key}", "Value": value} for key, value in values.items()]
        elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=attributes)

    yield set_
    set_("false")


@pytest.fixture
def ask(aws, client, balancer, network) -> Callable[[str], str]:
    """Requests this path from inside the VPC; returns the client's address and port."""
    interfaces = client("ec2").describe_network_interfaces()["NetworkInterfaces"]
    mine = [one["PrivateIpAddress"] for one in interfaces if f"app/{NAME}/" in one["Description"]]

    def get(path: str) -> str:
        words = ("-s", "-o", "/dev/null", "-w", "%{local_ip}:%{local_port}", f"http://{mine[0]}{path}")
        return str(aws.vpcs[network.vpc_id].namespace.run("curl", *words).stdout)

    return get


def keys(s3: Any) -> list[str]:
    return [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


@tenacity.retry(
    retry=tenacity.retry_if_result(lambda found: not found),
    wait=tenacity.wait_fixed(0.2),
    stop=tenacity.stop_after_delay(20),
)
def delivered(s3: Any) -> list[str]:
    return [key for key in keys(s3) if key.endswith(".log.gz")]


def refused(modify: Callable[..., None], **attributes: str) -> tuple[str, str]:
    with pytest.raises(ClientError) as error:
        modify(**attributes)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


DENIED = (
    "InvalidConfigurationRequest",
    f"Access Denied for bucket: {BUCKET}. Please check S3bucket permission",
)


@pytest.mark.parametrize("prefix", ["", "some/where"])
def test_entries_are_delivered_as_gzip_with_the_clients_address(s3, bucket, modify, ask, balancer, prefix):
    folder = f"{prefix}/AWSLogs/{ACCOUNT_ID}" if prefix else f"AWSLogs/{ACCOUNT_ID}"
    s3.put_bucket_policy(Bucket=bucket, Policy=policy(path=f"{folder}/*"))
    modify(prefix=prefix)
    assert keys(s3) == [f"{folder}/ELBAccessLogTestFile"]
    client, other = ask("/one?a=%22"), ask("/two")
    [key] = delivered(s3)
    id_ = balancer["LoadBalancerArn"].rpartition("/")[2]
    written = rf"{folder}/elasticloadbalancing/{REGION}/\d{{4}}/\d\d/\d\d/{ACCOUNT_ID}_elasticloadbalancing_"
    written += rf"{REGION}_app\.{NAME}\.{id_}_\d{{8}}T\d{{4}}Z_10\.0\.\d\.\d+_\w{{8}}\.log\.gz"
    assert re.fullmatch(written, key)
    got = s3.get_object(Bucket=bucket, Key=key)
    assert got["ServerSideEncryption"] == "AES256"
    lines = gzip.decompress(got["Body"].read()).decode().splitlines()
    assert [line.split()[3] for line in lines] == [client, other]
    assert re.search(r' 503 - \d+ \d+ "GET http://[\d.]+:80/one\?a=%22 HTTP/1.1" "curl/', lines[0])


def test_the_aws_cli_lists_and_reads_them(s3, bucket, modify, ask, aws, tmp_path):
    modify()
    ask("/by-cli")
    [key] = delivered(s3)
    environment = cli_environment(aws.endpoint_url)

    def cli(*words: str) -> str:
        argv = [str(Path(sys.executable).parent / "aws"), "s3", *words]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert BUCKET in cli("ls")
    assert key in cli("ls", f"s3://{BUCKET}/AWSLogs/", "--recursive")
    cli("cp", f"s3://{BUCKET}/{key}", str(tmp_path / "entry.gz"))
    assert b"/by-cli" in gzip.decompress((tmp_path / "entry.gz").read_bytes())
    cli("cp", str(tmp_path / "entry.gz"), f"s3://{BUCKET}/copy.gz")
    assert "copy.gz" in keys(s3)
    cli("rm", f"s3://{BUCKET}", "--recursive")
    assert keys(s3) == []


def test_nothing_is_delivered_after_disabling(s3, bucket, modify, ask):
    modify()
    ask("/while-on")
    before = delivered(s3)
    modify("false")
    ask("/while-off")
    time.sleep(2 * delays.ACCESS_LOG)
    assert delivered(s3) == before


def test_a_deleted_bucket_does_not_affect_requests(s3, modify, ask):
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=HERE)
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy())
    modify()
    s3.delete_object(Bucket=BUCKET, Key=keys(s3)[0])
    s3.delete_bucket(Bucket=BUCKET)
    assert ask("/nowhere")
    time.sleep(2 * delays.ACCESS_LOG)
    with pytest.raises(s3.exceptions.NoSuchBucket):
        keys(s3)


def test_a_missing_bucket_cannot_be_enabled(client, balancer, modify):
    assert refused(modify, bucket="") == ("ValidationError", "S3Bucket name cannot be empty")
    code, message = refused(modify, bucket="no-such-bucket-at-all")
    assert (code, message) == (
        "InvalidConfigurationRequest",
        "S3Bucket: no-such-bucket-at-all does not exist",
    )
    arn = balancer["LoadBalancerArn"]
    shown = client("elbv2").describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    assert {"Key": "access_logs.s3.enabled", "Value": "false"} in shown


def test_the_bucket_must_be_in_the_load_balancers_region(aws, modify):
    session = boto3.Session(OWN.access_key_id, OWN.secret, region_name="us-east-1")
    elsewhere = session.client("s3", endpoint_url=aws.endpoint_url)
    elsewhere.create_bucket(Bucket="over-there")
    code, message = refused(modify, bucket="over-there")
    elsewhere.delete_bucket(Bucket="over-there")
    assert code == "InvalidConfigurationRequest"
    assert message == f"S3Bucket: over-there is not located in the same region with ELB: {NAME}"


@pytest.mark.parametrize(
    "document",
    [
        policy("delivery.logs.amazonaws.com"),
        policy(path="AWSLogs/210987654321/*"),
        policy(path=f"elsewhere/AWSLogs/{ACCOUNT_ID}/*"),
        policy(Action="s3:GetObject"),
        policy(Effect="Deny"),
        policy(Condition={"Bool": {"aws:SecureTransport": "false"}}),
    ],
    ids=["another service", "another account", "another prefix", "reading", "a denial", "without TLS"],
)
def test_the_bucket_policy_must_allow_elb_to_write(s3, bucket, modify, document):
    s3.put_bucket_policy(Bucket=bucket, Policy=document)
    assert refused(modify) == DENIED
    assert keys(s3) == []


def test_a_bucket_without_a_policy_or_with_its_own_key_is_rejected(s3, bucket, modify):
    s3.delete_bucket_policy(Bucket=bucket)
    assert refused(modify) == DENIED
    s3.put_bucket_policy(Bucket=bucket, Policy=policy())
    kms = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [kms]})
    assert refused(modify) == DENIED


def test_a_prefix_must_not_contain_what_elb_adds(bucket, modify):
    code, message = refused(modify, prefix="AWSLogs")
    assert code == "InvalidConfigurationRequest" and "AWSLogs" in message
