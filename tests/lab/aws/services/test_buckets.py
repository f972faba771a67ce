"""S3 in the lab: permissions in a bucket, checked with plain boto3."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

from lab.aws.api.principals import OWN
from tests.lab.aws.conftest import REGION

BUCKET, USER = "a-bucket-of-tests", "bucketeer"
ARN = f"arn:aws:s3:::{BUCKET}"
HERE = {"LocationConstraint": REGION}


@pytest.fixture
def bucket(s3) -> Iterator[str]:
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=HERE)
    yield BUCKET
    for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=each["Key"])
    s3.delete_bucket(Bucket=BUCKET)


@pytest.fixture(scope="module")
def someone(aws, client) -> Iterator[Any]:
    """S3 as a user with the given policy, or with none."""
    iam = client("iam")
    iam.create_user(UserName=USER)
    key = iam.create_access_key(UserName=USER)["AccessKey"]
    keys = key["AccessKeyId"], key["SecretAccessKey"]

    def allowed(*statements: dict[str, Any]) -> Any:
        document = {"Version": "2012-10-17", "Statement": statements}
        iam.put_user_policy(UserName=USER, PolicyName="own", PolicyDocument=json.dumps(document))
        return boto3.Session(*keys, region_name=REGION).client("s3", endpoint_url=aws.endpoint_url)

    yield allowed
    iam.delete_access_key(UserName=USER, AccessKeyId=keys[0])
    iam.delete_user_policy(UserName=USER, PolicyName="own")
    iam.delete_user(UserName=USER)


def allow(*actions: str, on: str = ARN) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": on}


def code(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**parameters)
    return str(error.value.response["Error"]["Code"])


def test_objects_are_returned_unchanged(s3, bucket):
    key, body = "a folder/ä+b=c&d.txt", bytes(range(256)) * 40
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix="a f")["Contents"]] == [key]
    assert code(s3.delete_bucket, Bucket=bucket) == "BucketNotEmpty"
    assert code(s3.get_object, Bucket=bucket, Key="other") == "NoSuchKey"
    assert code(s3.list_objects_v2, Bucket="no-such-bucket-at-all") == "NoSuchBucket"


def test_a_new_bucket_is_private_and_encrypted(s3, bucket):
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html"""
    public = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(public.values()) == {True}
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    assert s3.head_object(Bucket=bucket, Key="k")["ServerSideEncryption"] == "AES256"


def test_tags_given_on_creation_are_visible_at_once(s3, client):
    tags = [{"Key": "Project", "Value": "tagged at birth"}]
    s3.create_bucket(Bucket="tagged-at-birth", CreateBucketConfiguration={**HERE, "Tags": tags})
    filters = [{"Key": "Project", "Values": ["tagged at birth"]}]
    found = client("resourcegroupstaggingapi").get_resources(TagFilters=filters)["ResourceTagMappingList"]
    assert s3.get_bucket_tagging(Bucket="tagged-at-birth")["TagSet"] == tags
    assert [one["ResourceARN"] for one in found] == ["arn:aws:s3:::tagged-at-birth"]
    s3.delete_bucket(Bucket="tagged-at-birth")


def test_wrong_keys_and_unsigned_calls_are_rejected(aws, bucket):
    def by(*keys: str) -> Any:
        session = boto3.Session(*keys, region_name=REGION)
        return session.client("s3", endpoint_url=aws.endpoint_url, config=Config(retries={"max_attempts": 0}))

    assert code(by("AKIANOBODYKNOWSIT000", "x").list_buckets) == "InvalidAccessKeyId"
    guessing = by(OWN.access_key_id, "x")
    assert code(guessing.put_object, Bucket=bucket, Key="a", Body=b"b") == "SignatureDoesNotMatch"
    assert requests.get(f"{aws.endpoint_url}/{bucket}").status_code == 403
    assert requests.put(f"{aws.endpoint_url}/{bucket}/a", data=b"b").status_code == 403


CALLS = [
    ("list_objects_v2", {}, "s3:ListBucket", ARN),
    ("head_bucket", {}, "s3:ListBucket", ARN),
    ("put_object", {"Key": "k", "Body": b""}, "s3:PutObject", f"{ARN}/k"),
    ("get_object", {"Key": "there"}, "s3:GetObject", f"{ARN}/there"),
    ("head_object", {"Key": "there"}, "s3:GetObject", f"{ARN}/there"),
    ("delete_object", {"Key": "k"}, "s3:DeleteObject", f"{ARN}/k"),
    ("delete_objects", {"Delete": {"Objects": [{"Key": "k"}]}}, "s3:DeleteObject", f"{ARN}/k"),
    ("delete_public_access_block", {}, "s3:PutBucketPublicAccessBlock", ARN),
    ("get_bucket_encryption", {}, "s3:GetEncryptionConfiguration", ARN),
    ("delete_bucket_lifecycle", {}, "s3:PutLifecycleConfiguration", ARN),
    ("get_bucket_location", {}, "s3:GetBucketLocation", ARN),
]


@pytest.mark.parametrize(("operation", "given", "action", "resource"), CALLS, ids=[call[0] for call in CALLS])
def test_a_call_needs_its_action_on_its_resource(s3, bucket, someone, operation, given, action, resource):
    s3.put_object(Bucket=bucket, Key="there", Body=b"")
    others = allow("s3:*", on=f"{ARN}-of-somebody-else*")
    assert code(getattr(someone(others), operation), Bucket=bucket, **given) in ("AccessDenied", "403")
    getattr(someone(allow(action, on=resource)), operation)(Bucket=bucket, **given)


def test_the_denial_names_action_and_resource_as_s3_does(bucket, someone):
    with pytest.raises(ClientError, match=rf's3:GetObject on resource: "{ARN}/k" because no identity-based'):
        someone(allow("s3:ListBucket")).get_object(Bucket=bucket, Key="k")


def test_tags_on_creation_need_another_permission(s3, someone):
    name = "tagged-by-someone"
    arn, tags = f"arn:aws:s3:::{name}", [{"Key": "a", "Value": "b"}]
    given = {"Bucket": name, "CreateBucketConfiguration": {**HERE, "Tags": tags}}
    assert code(someone(allow("s3:CreateBucket", on=arn)).create_bucket, **given) == "AccessDenied"
    someone(allow("s3:CreateBucket", "s3:TagResource", on=arn)).create_bucket(**given)
    s3.delete_bucket(Bucket=name)


def test_a_policy_that_requires_tls_is_accepted_and_met(s3, bucket):
    """Requests to the lab's endpoint count as TLS."""
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [ARN, f"{ARN}/*"]}
    condition = {"Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [{**statement, **condition}]})
    s3.put_bucket_policy(Bucket=bucket, Policy=document)
    s3.put_object(Bucket=bucket, Key="k", Body=b"v")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"v"
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == json.loads(document)
