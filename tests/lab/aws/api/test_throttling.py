"""A tight burst is refused in each service's way; an SDK that tries again gets through."""

from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lab.aws.api.throttling import Bucket, Limit
from lab.settings import ACCESS_KEY_ID, SECRET_ACCESS_KEY


@pytest.fixture
def patient(aws):
    """Clients that try a call so many times."""
    session = boto3.Session(ACCESS_KEY_ID, SECRET_ACCESS_KEY, region_name="us-west-2")  # buckets of its own

    def client(service: str, attempts: int):
        config = Config(retries={"mode": "standard", "total_max_attempts": attempts})
        return session.client(service, endpoint_url=aws.endpoint_url, config=config)

    return client


@pytest.mark.parametrize(
    ("service", "operation", "code", "status"),
    [
        ("route53", "list_hosted_zones", "Throttling", 400),
        ("acm", "list_certificates", "ThrottlingException", 400),
        ("lambda", "list_functions", "TooManyRequestsException", 429),
        ("elbv2", "describe_load_balancers", "ThrottlingException", 400),
        ("ec2", "describe_addresses", "RequestLimitExceeded", 503),
    ],
)
def test_a_burst_is_refused_and_retries_get_through(patient, service, operation, code, status):
    call = getattr(patient(service, 1), operation)
    with pytest.raises(ClientError) as refused, ThreadPoolExecutor(4) as callers:
        list(callers.map(lambda _: call(), range(400)))
    answer = refused.value.response
    assert answer["Error"]["Code"] == code
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == status
    call = getattr(patient(service, 8), operation)
    assert all(call() for _ in range(5))


def test_calls_without_a_documented_limit_are_not_held_up(patient):
    sts = patient("sts", 1)
    assert all(sts.get_caller_identity()["Account"] for _ in range(60))


def test_a_bucket_refills_at_its_rate_and_no_higher_than_its_capacity():
    bucket = Bucket(Limit("any", capacity=2, per_second=4), since=10.0)
    assert [bucket.take(10.0) for _ in range(3)] == [True, True, False]
    assert [bucket.take(10.25), bucket.take(10.25)] == [True, False]
    assert [bucket.take(99.0) for _ in range(3)] == [True, True, False]
