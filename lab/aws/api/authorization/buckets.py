"""S3, whose actions and operations often have different names.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html: permissions for tags on creation.
"""

import re

from lab.aws.api.authorization.policy import Need
from lab.aws.api.authorization.resources import request_tags
from lab.aws.api.call import Call

_OBJECTS = {
    "DeleteObject": "DeleteObject",
    "DeleteObjects": "DeleteObject",
    "GetObject": "GetObject",
    "HeadObject": "GetObject",
}
_BUCKETS = {
    "HeadBucket": "ListBucket",
    "ListBuckets": "ListAllMyBuckets",
    "ListObjectsV2": "ListBucket",
}
# Settings of a bucket whose deletion needs the permission to put them.
_SETTINGS = {
    "BucketEncryption": "EncryptionConfiguration",
    "BucketLifecycle": "LifecycleConfiguration",
    "BucketLifecycleConfiguration": "LifecycleConfiguration",
    "BucketTagging": "BucketTagging",
    "PublicAccessBlock": "BucketPublicAccessBlock",
}


def needs(call: Call) -> list[Need]:
    """The bucket, or each object that is named."""
    given = call.parameters
    if "Bucket" not in given:
        return [Need(f"s3:{_action(call.operation)}")]
    bucket = f"arn:aws:s3:::{given['Bucket']}"
    keys = (
        [given["Key"]]
        if "Key" in given
        else [each["Key"] for each in given.get("Delete", {}).get("Objects", [])]
    )
    if keys:
        return [Need(f"s3:{_action(call.operation)}", f"{bucket}/{key}") for key in keys]
    tags = request_tags(given.get("CreateBucketConfiguration", {}).get("Tags"))
    found = [Need(f"s3:{_action(call.operation)}", bucket, tags)]
    return [*found, Need("s3:TagResource", bucket, tags)] if tags else found


def _action(operation: str) -> str:
    if operation in _OBJECTS or operation in _BUCKETS:
        return {**_OBJECTS, **_BUCKETS}[operation]
    verb, setting = re.match("(Put|Get|Delete)?(.*)", operation).groups("")  # type: ignore[union-attr]
    if setting not in _SETTINGS:
        return operation
    return ("Put" if verb == "Delete" else verb) + _SETTINGS[setting]
