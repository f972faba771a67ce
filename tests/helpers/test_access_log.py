"""The load balancer's access log against plain moto: the bucket, entries, the clean-up."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpers import acm, aws, cleanup, function, load_balancer, network
from helpers.aws import alb_log
from helpers.base.errors import TimedOutError
from helpers.base.settings import current

CLIENT, OTHER = "10.0.4.7:43210", "10.0.4.7:43211"
NOW = datetime.now(UTC)


@pytest.fixture
def balancer(moto) -> str:
    """The ARN of a load balancer that has no log yet."""
    place = network.ensure()
    made = aws.call("elbv2", "create_load_balancer", Name="plain", Scheme="internal", Subnets=place.private)
    return str(made["LoadBalancers"][0]["LoadBalancerArn"])


@pytest.fixture
def bucket(moto) -> str:
    """The bucket, but without its policy, which moto interprets as denying everything."""
    aws.call("s3", "create_bucket", Bucket=alb_log.bucket())
    return alb_log.bucket()


def everything_of(balancer: str) -> list[Any]:
    """The bucket's settings and the load balancer's attributes."""
    shown = (
        "get_bucket_policy", "get_public_access_block", "get_bucket_encryption",
        "get_bucket_lifecycle_configuration",
    )  # fmt: skip
    found = [aws.call("s3", operation, Bucket=alb_log.bucket()) for operation in shown]
    found.append(aws.call("elbv2", "describe_load_balancer_attributes", LoadBalancerArn=balancer))
    return [{key: value for key, value in one.items() if key != "ResponseMetadata"} for one in found]


def line(client: str, path: str, made: datetime = NOW) -> str:
    """An entry in the documented format."""
    time = made.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return (
        f"h2 {time} app/plain/50dc6c495c0c9188 {client} - 0.000 0.012 0.000 200 200 310 1523 "
        f'"GET https://alb.example.com:443{path} HTTP/2.0" "curl/8.5 (a b)" TLS_AES_128_GCM_SHA256 TLSv1.3 '
        'arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/hello/73e2d6bc24d8 "Root=1-58337281-1d84f3" '
        '"alb.example.com" "arn:aws:acm:us-east-1:1:certificate/a1" '
        f'0 {time} "forward" "-" "-" "-" "200" "-" "-" TID_1234 "-" "-" "-" "a field of tomorrow"'
    )


def deliver(bucket: str, *lines: str, day: datetime = NOW) -> None:
    account, region = aws.account_id(), current().AWS_REGION
    folder = f"AWSLogs/{account}/elasticloadbalancing/{region}/{day:%Y/%m/%d}"
    number = len(aws.list_all("s3", "list_objects_v2", "Contents", Bucket=bucket))
    body = gzip.compress("".join(f"{line}\n" for line in lines).encode())
    aws.call("s3", "put_object", Bucket=bucket, Key=f"{folder}/{number}.log.gz", Body=body)


def test_ensure_twice_changes_nothing_and_reports_it(balancer, capsys):
    alb_log.ensure(balancer)
    said = capsys.readouterr().out
    name = alb_log.bucket()
    for command in ("create-bucket", "put-public-access-block", "put-bucket-encryption", "put-bucket-policy"):
        assert f"aws s3api {command} --bucket {name}" in said
    assert f"Key=access_logs.s3.bucket,Value={name}" in said
    before = everything_of(balancer)
    alb_log.ensure(balancer)
    assert everything_of(balancer) == before
    assert capsys.readouterr().out == f"Bucket {name} exists\n"


def test_the_bucket_accepts_only_log_delivery_for_this_account(balancer):
    alb_log.ensure(balancer)
    policy, public, encryption, lifecycle, _ = everything_of(balancer)
    [write, tls] = json.loads(policy["Policy"])["Statement"]
    assert write["Principal"] == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    assert write["Resource"] == f"arn:aws:s3:::{alb_log.bucket()}/AWSLogs/{aws.account_id()}/*"
    assert (tls["Effect"], tls["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert set(public["PublicAccessBlockConfiguration"].values()) == {True}
    rule = encryption["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert lifecycle["Rules"][0]["Expiration"]["Days"] == 1


def test_an_interrupted_run_is_completed(bucket, balancer):
    with pytest.raises(Exception, match="NoSuchBucketPolicy"):
        everything_of(balancer)
    alb_log.ensure(balancer)
    assert all(everything_of(balancer))


@pytest.mark.parametrize("region", ["us-east-1", "ap-southeast-2"])
def test_the_longest_name_is_valid_in_s3(moto, monkeypatch, region):
    monkeypatch.setenv("TUTORIAL_NAME", "a" * 20)
    monkeypatch.setenv("AWS_REGION", region)
    assert len(alb_log.bucket()) <= 63
    assert region in alb_log.bucket() and aws.account_id() in alb_log.bucket()


def test_an_entry_is_found_by_the_clients_address(bucket, capsys):
    deliver(bucket, line(OTHER, "/other"), line(CLIENT, "/mine?a=%22b%22"))
    found = alb_log.entry(CLIENT, timeout=1)
    assert found["request"] == "GET https://alb.example.com:443/mine?a=%22b%22 HTTP/2.0"
    assert (found["type"], found["ssl_protocol"], found["elb_status_code"]) == ("h2", "TLSv1.3", "200")
    assert (found["user_agent"], found["conn_trace_id"]) == ("curl/8.5 (a b)", "TID_1234")
    assert tuple(found) == alb_log.FIELDS
    assert capsys.readouterr().out.startswith(f"aws s3 sync \\\n    s3://{bucket}/AWSLogs/")


def test_of_several_requests_on_a_connection_the_latest_or_the_next_is_found(bucket):
    times = [NOW - timedelta(seconds=seconds) for seconds in (90, 60, 59.9)]
    deliver(bucket, line(CLIENT, "/2", times[1]), line(CLIENT, "/3", times[2]))
    deliver(bucket, line(CLIENT, "/1", times[0]))
    assert ":443/3 " in alb_log.entry(CLIENT, timeout=1)["request"]
    assert ":443/2 " in alb_log.entry(CLIENT, timeout=1, since=times[1])["request"]
    with pytest.raises(TimedOutError):
        alb_log.entry(CLIENT, timeout=0.1, since=NOW)


def test_folders_of_other_days_are_not_read(bucket):
    deliver(bucket, line(CLIENT, "/"), day=NOW - timedelta(days=2))
    with pytest.raises(TimedOutError):
        alb_log.entry(CLIENT, timeout=0.1)


def test_a_missing_request_is_a_clear_error(bucket):
    deliver(bucket, line(OTHER, "/"))
    with pytest.raises(TimedOutError, match=r"10\.0\.4\.7:43210.*not delivered yet(.|\n)*TLS handshake"):
        alb_log.entry(CLIENT, timeout=0.1)


def test_clean_up_empties_the_bucket_while_more_logs_arrive(bucket, monkeypatch):
    deliver(bucket, line(CLIENT, "/"))
    late = iter([True])

    def write(**_: Any) -> None:
        if next(late, False):
            deliver(bucket, line(CLIENT, "/late"))

    events = aws.client("s3").meta.events
    events.register("before-call.s3.DeleteBucket", write)
    assert ("bucket", bucket) in [(one.kind, one.name) for one in cleanup.listing()]
    cleanup.everything()
    events.unregister("before-call.s3.DeleteBucket", write)
    assert next(late, False) is False  # one object did arrive late
    assert cleanup.listing() == []
    assert not alb_log.find()


def test_a_new_load_balancer_has_its_log_enabled(moto, capsys):
    network.ensure()
    function.ensure()
    acm.ensure()
    arn = load_balancer.ensure().arn
    shown = aws.call("elbv2", "describe_load_balancer_attributes", LoadBalancerArn=arn)["Attributes"]
    assert {"Key": "access_logs.s3.enabled", "Value": "true"} in shown
    assert alb_log.find() and alb_log.bucket() in [one.name for one in cleanup.listing()]
