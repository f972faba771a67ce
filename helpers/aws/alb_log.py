"""The load balancer's access log: AWS delivers it as gzip files into a bucket, every five minutes.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
"""

import functools
import gzip
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from helpers import aws
from helpers.aws import deletion
from helpers.base import command
from helpers.base.errors import ApiError
from helpers.base.resource import Resource
from helpers.base.settings import current
from helpers.base.waiting import retry_while, wait_until

Entry = dict[str, str]

RETENTION = 1  # days
FIELDS = (
    "type", "time", "elb", "client:port", "target:port", "request_processing_time",
    "target_processing_time", "response_processing_time", "elb_status_code", "target_status_code",
    "received_bytes", "sent_bytes", "request", "user_agent", "ssl_cipher", "ssl_protocol",
    "target_group_arn", "trace_id", "domain_name", "chosen_cert_arn", "matched_rule_priority",
    "request_creation_time", "actions_executed", "redirect_url", "error_reason", "target:port_list",
    "target_status_code_list", "classification", "classification_reason", "conn_trace_id",
    "transformed_host", "transformed_uri", "request_transform_status",
)  # fmt: skip
_DELIVERY = "logdelivery.elasticloadbalancing.amazonaws.com"
_RECENT = timedelta(minutes=15)  # entries come up to five minutes late, sometimes later
_SKEW = timedelta(milliseconds=10)  # of the clocks of who asked and the load balancer
_SETTLING = 120  # seconds until all of AWS knows a new bucket and its policy
# S3 has not done with the bucket yet; ELB does not see it or its policy yet.
_UNSET = (
    "NoSuchBucketPolicy",
    "NoSuchLifecycleConfiguration",
    "NoSuchPublicAccessBlockConfiguration",
    "ServerSideEncryptionConfigurationNotFoundError",
)
_NOT_YET = {"OperationAborted", "NoSuchBucket", "InvalidConfigurationRequest"}


def bucket() -> str:
    """The bucket's name: with account and region in it, nobody else on earth has it."""
    return _bucket(aws.account_id())


def find() -> str | None:
    """The bucket's name, or None where there is no such bucket."""
    name = bucket()
    found = aws.found("NoSuchBucket", service="s3", operation="list_objects_v2", Bucket=name, MaxKeys=1)
    return name if found else None


def ensure(load_balancer_arn: str) -> None:
    """The bucket, closed to all but the load balancer's log delivery, and the log switched on."""
    name, fresh = bucket(), find() is None
    if fresh:
        _create(name)
    else:
        print(f"Bucket {name} exists")
    _configure(name, fresh)
    log = {"enabled": "true", "bucket": name}
    attributes = [{"Key": f"access_logs.s3.{key}", "Value": value} for key, value in log.items()]
    shown = aws.call("elbv2", "describe_load_balancer_attributes", LoadBalancerArn=load_balancer_arn)
    if all(attribute in shown["Attributes"] for attribute in attributes):
        return
    target = {"LoadBalancerArn": load_balancer_arn, "Attributes": attributes}
    _settled("elbv2", "modify_load_balancer_attributes", **target)
    written = " ".join(f"Key={each['Key']},Value={each['Value']}" for each in attributes)
    aws.said(f"elbv2 modify-load-balancer-attributes --attributes {written}")


def delete() -> None:
    """Delete the bucket with what is in it; the load balancer's last entries may come meanwhile."""
    name = find()
    if not name:
        return

    def empty_and_delete() -> bool:
        for each in aws.list_all("s3", "list_objects_v2", "Contents", Bucket=name):
            deletion.undo("s3", "delete_object", Bucket=name, Key=each["Key"])
        return deletion.undo("s3", "delete_bucket", Bucket=name)

    if deletion.retry_while_busy(f"delete-bucket {name}", empty_and_delete):
        aws.said(f"s3 rb --force s3://{name}")


def leftovers() -> list[Resource]:
    """The bucket, where it exists."""
    name = find()
    return [Resource("AWS", "bucket", name)] if name else []


def entry(client: str, timeout: float = 400, *, since: datetime | None = None) -> Entry:
    """The log's entry whose `client:port` is `client`, e.g. "10.0.4.7:43210"; keys are AWS's field names.

    Envoy logs that address as %UPSTREAM_LOCAL_ADDRESS%. A connection serves several requests: with `since`
    (Envoy's %START_TIME%, with its time zone), it is the first one made from then on; without, the last.
    Waits up to `timeout` seconds, as AWS delivers every five minutes; raises TimedOutError.
    """
    account = aws.account_id()
    read = functools.cache(lambda key: _read(account, key))  # each file is fetched once

    def probe() -> Entry:
        found = [one for one in _entries(account, read) if one["client:port"] == client]
        if since is None:
            return max(found, key=_made, default={})
        return min((one for one in found if _made(one) >= since - _SKEW), key=_made, default={})

    folder = f"s3://{_bucket(account)}/{_folder(account, datetime.now(UTC))}"
    command.show(f"aws s3 sync {folder} build/alb-logs && zgrep -h {client} build/alb-logs/*.gz")
    return wait_until(
        f"the request of {client} in the load balancer's log",
        probe,
        bool,
        timeout=timeout,
        interval=2,
        event=True,
        state=lambda _: "not delivered yet",
        hint="wait, as AWS delivers every five minutes; and look whether the request got that far: "
        "one that fails in the TLS handshake is in no access log.",
    )


def parse(line: str) -> Entry:
    """A line's fields by name; AWS adds new ones at the end."""
    values = [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|(\S+)', line)]
    return dict(zip(FIELDS, values, strict=False))


def _create(name: str) -> None:
    region = current().AWS_REGION
    where = {} if region == "us-east-1" else {"LocationConstraint": region}  # that one must not be named
    configuration = {**where, "Tags": aws.tag_list()}
    _settled("s3", "create_bucket", Bucket=name, CreateBucketConfiguration=configuration)
    aws.said(f"s3api create-bucket --bucket {name}")


def _configure(name: str, fresh: bool) -> None:
    """Set what differs; of a fresh bucket, all."""
    set_ = partial(_set, name, fresh)
    closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    public = {"PublicAccessBlockConfiguration": dict.fromkeys(closed, True)}
    set_("public_access_block", public, public, "nothing in it can be made public")
    # The one kind of encryption with which ELB can write.
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    encryption = {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}
    set_("bucket_encryption", encryption, encryption, "encrypted with S3's own keys")
    policy = {"Policy": json.dumps(_policy(name))}
    set_("bucket_policy", policy, policy, "load balancers' logs may be written; TLS only")
    expire = {"ID": "expire", "Status": "Enabled", "Filter": {"Prefix": ""}}
    rules = {"Rules": [{**expire, "Expiration": {"Days": RETENTION}}]}
    lifecycle = {"LifecycleConfiguration": rules}
    set_("bucket_lifecycle_configuration", lifecycle, rules, f"kept for {RETENTION} day")


def _set(
    name: str, fresh: bool, setting: str, wanted: dict[str, Any], shown: dict[str, Any], answer: str
) -> None:
    """Set it unless the bucket shows it already."""
    if not fresh:
        found = aws.found(*_UNSET, service="s3", operation=f"get_{setting}", Bucket=name)
        if found and _includes(found, shown):
            return
    _settled("s3", f"put_{setting}", Bucket=name, **wanted)
    aws.said(f"s3api put-{setting.replace('_', '-')} --bucket {name}", answer)


def _includes(found: Any, wanted: Any) -> bool:
    """Whether all that is wanted is found; S3 adds fields of its own."""
    if isinstance(wanted, dict):
        return all(key in found and _includes(found[key], value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_includes, found, wanted))
    if isinstance(wanted, str) and wanted.startswith("{"):
        return bool(json.loads(found) == json.loads(wanted))
    return bool(found == wanted)


def _policy(name: str) -> dict[str, Any]:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html"""
    arn = f"arn:aws:s3:::{name}"
    write = {
        "Sid": "LogDelivery",
        "Effect": "Allow",
        "Principal": {"Service": _DELIVERY},
        "Action": "s3:PutObject",
        "Resource": f"{arn}/AWSLogs/{aws.account_id()}/*",
    }
    tls = {
        "Sid": "OnlyByTLS",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [write, tls]}


def _settled(service: str, operation: str, **parameters: Any) -> None:
    """One call, again while AWS is busy with what came before; fine where the bucket is ours already."""
    ours = "BucketAlreadyOwnedByYou"
    retry_while(
        f"{service} {operation.replace('_', '-')}",
        lambda: aws.found(ours, service=service, operation=operation, **parameters),
        lambda error: isinstance(error, ApiError) and error.code in _NOT_YET,
        timeout=_SETTLING,
    )


def _entries(account: str, read: Callable[[str], list[Entry]]) -> Iterator[Entry]:
    now = datetime.now(UTC)
    for folder in sorted({_folder(account, now - _RECENT), _folder(account, now)}):
        listed = {"Bucket": _bucket(account), "Prefix": folder}
        for each in aws.list_all("s3", "list_objects_v2", "Contents", **listed):
            if each["LastModified"] >= now - _RECENT:
                yield from read(each["Key"])


def _read(account: str, key: str) -> list[Entry]:
    content = aws.call("s3", "get_object", Bucket=_bucket(account), Key=key)["Body"].read()
    return [parse(line) for line in gzip.decompress(content).decode(errors="replace").splitlines()]


def _bucket(account: str) -> str:
    return f"{current().TUTORIAL_NAME}-alb-logs-{account}-{current().AWS_REGION}"


def _folder(account: str, day: datetime) -> str:
    return f"AWSLogs/{account}/elasticloadbalancing/{current().AWS_REGION}/{day:%Y/%m/%d}/"


def _made(one: Entry) -> datetime:
    return datetime.fromisoformat(one["request_creation_time"])
