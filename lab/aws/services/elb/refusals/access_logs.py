"""Elastic Load Balancing: where a load balancer can write its access log.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
"""

from moto.elbv2.exceptions import ELBClientError
from moto.s3.exceptions import MissingBucket
from moto.s3.models import FakeBucket

from lab.aws.services.s3.buckets import Buckets

DELIVERY = "logdelivery.elasticloadbalancing.amazonaws.com"


def enable(buckets: Buckets, balancer: str, region: str, name: str, prefix: str, test_file: str) -> None:
    """The errors that AWS gets when it writes a test file, whose key is `test_file`."""
    if not name:
        raise ELBClientError("ValidationError", "S3Bucket name cannot be empty")
    if "AWSLogs" in prefix:
        raise _refused(f"S3Bucket prefix '{prefix}' must not include AWSLogs")
    try:
        bucket = buckets.get_bucket(name)
    except MissingBucket:
        raise _refused(f"S3Bucket: {name} does not exist") from None
    if bucket.region_name != region:
        raise _refused(f"S3Bucket: {name} is not located in the same region with ELB: {balancer}")
    if _key_of_its_own(bucket) or not buckets.allows(DELIVERY, name, "s3:PutObject", test_file):
        raise _refused(f"Access Denied for bucket: {name}. Please check S3bucket permission")


def _key_of_its_own(bucket: FakeBucket) -> bool:
    """Only Amazon S3-managed keys are supported."""
    rule = (bucket.encryption or {}).get("Rule", {}).get("ApplyServerSideEncryptionByDefault", {})
    return str(rule.get("SSEAlgorithm", "AES256")) != "AES256"


def _refused(message: str) -> ELBClientError:
    return ELBClientError("InvalidConfigurationRequest", message)
