"""S3: moto stores buckets and objects; permissions are checked before moto gets the call."""

import json
from collections.abc import Iterator
from typing import Any

from moto.s3.models import FakeBucket, S3Backend

from lab.aws.api.authorization.conditions import listed
from lab.aws.api.authorization.policy import Need, Verdict, verdict
from lab.aws.api.call import given
from lab.aws.context import LabBackend

# Defaults of new buckets: https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html
_CLOSED = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
_ENCRYPTED = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}


class Buckets(LabBackend, S3Backend):
    """All buckets: bucket names are shared by all regions."""

    def create_bucket(
        self, bucket_name: str, region_name: str, bucket_namespace: str | None = None
    ) -> FakeBucket:
        bucket = super().create_bucket(bucket_name, region_name, bucket_namespace)
        self.put_public_access_block(bucket_name, dict.fromkeys(_CLOSED, "true"))
        self.put_bucket_encryption(bucket_name, {"Rule": _ENCRYPTED})
        if tags := _tags_of_the_call():
            self.put_bucket_tagging(bucket_name, tags)
        return bucket

    def allows(self, service: str, name: str, action: str, key: str) -> bool:
        """Whether the bucket's own policy allows this to a service, e.g. "ec2.amazonaws.com".

        The request counts as TLS, which AWS's own endpoints use.
        """
        bucket = self.get_bucket(name)
        statements = list(_about(service, json.loads(bucket.policy))) if bucket.policy else []
        context = {"aws:securetransport": ["true"]}
        need = Need(action, f"{bucket.arn}/{key}", context)
        return verdict([{"Statement": statements}], need) is Verdict.ALLOW


def _about(service: str, document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The statements that name this service, or everyone."""
    statements = document["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal", {})
        named = ["*"] if principal == "*" else listed(principal.get("Service", principal.get("AWS", [])))
        if service in named or "*" in named:
            yield statement


def _tags_of_the_call() -> dict[str, str]:
    """Tags given on creation, which moto does not read."""
    return {tag["Key"]: tag["Value"] for tag in given().get("CreateBucketConfiguration", {}).get("Tags", [])}
