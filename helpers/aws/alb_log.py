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
_SKEW = timedelta(milliseconds=10)  # difference between the clocks of the caller and the load balancer
_SETTLING = 120  # seconds until a new bucket and its policy have propagated
# S3 is still busy with the bucket; ELB does not see it or its policy yet.
_UNSET = (
    "NoSuchBucketPolicy",
    "NoSuchLifecycleConfiguration",
    "NoSuchPublicAccessBlockConfiguration",
    "ServerSideEncryptionConfigurationNotFoundError",
)
_AT_ONCE = 1000  # objects that one call can delete
_NOT_YET = {"OperationAborted", "NoSuchBucket", "InvalidConfigurationRequest"}


def bucket() -> str:
    """The bucket's name: account and region make it globally unique."""
    return _bucket(aws.account_id())


def find() -> str | None:
    """The bucket's name, or None if there is no such bucket."""
    name = bucket()
    found = aws.found("NoSuchBucket", service="s3", operation="list_objects_v2", Bucket=name, MaxKeys=1)
    return name if found else None


def ensure(load_balancer_arn: str) -> None:
    """The bucket, writable by the load balancer's log delivery only, and the log switched on."""
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


def delete() -> None:
    """Delete the bucket and its contents; the load balancer's last entries may arrive meanwhile."""
    name = find()
    if not name:
        return

    def empty_and_delete() -> bool:
        keys = [each["Key"] for each in aws.list_all("s3", "list_objects_v2", "Contents", Bucket=name)]
        for start in range(0, len(keys), _AT_ONCE):
            objects = {"Objects": [{"Key": key} for key in keys[start : start + _AT_ONCE]], "Quiet": True}
            aws.change("s3", "delete_objects", document="alb-logs", Bucket=name, Delete=objects)
        return deletion.undo("s3", "delete_bucket", Bucket=name)

    deletion.retry_while_busy(f"delete-bucket {name}", empty_and_delete)


def leftovers() -> list[Resource]:
    """The bucket, if it exists."""
    name = find()
    return [Resource("AWS", "bucket", name)] if name else []


def entry(client: str, timeout: float = 400, *, since: datetime | None = None, host: str = "") -> Entry:
    """The log's entry whose `client:port` is `client`, e.g. "10.0.4.7:43210"; keys are AWS's field names.

    Envoy logs that address as %UPSTREAM_LOCAL_ADDRESS%. A connection serves several requests: with `since`
    (Envoy's %START_TIME%, with its time zone), it is the first one made from then on; without, the last.
    Waits up to `timeout` seconds, because AWS delivers every five minutes; raises TimedOutError.
    With `host`, the printed command looks for all requests to it: curl does not say its port.
    """
    account = aws.account_id()
    read = functools.cache(lambda key: _read(account, key))  # each file is fetched once

    def probe() -> Entry:
        found = [one for one in _entries(account, read) if one["client:port"] == client]
        if since is None:
            return max(found, key=_made, default={})
        return min((one for one in found if _made(one) >= since - _SKEW), key=_made, default={})

    copy = command.relative(current().TUTORIAL_BUILD_DIR / "alb-logs")
    # In the bucket is a folder for each year, month and day.
    search = f"zgrep -h {host or client} {copy}/*/*/*/*.gz"
    command.show(f"aws s3 sync s3://{_bucket(account)}/{_folder(account)} {copy} && {search}")
    return wait_until(
        f"the request of {client} in the load balancer's log",
        probe,
        bool,
        timeout=timeout,
        interval=2,
        state=lambda _: "not delivered yet",
        hint="wait, because AWS delivers every five minutes, and check that the request got that far: "
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
    aws.shown("sts", "get_caller_identity", show="Account")  # its name begins with it
    _settled("s3", "create_bucket", Bucket=name, CreateBucketConfiguration=configuration)


def _configure(name: str, fresh: bool) -> None:
    """Set what differs; for a new bucket, everything."""
    set_ = partial(_set, name, fresh)
    closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    public = {"PublicAccessBlockConfiguration": dict.fromkeys(closed, True)}
    set_("public_access_block", public, public)
    # The only type of encryption that ELB supports.
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    encryption = {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}
    set_("bucket_encryption", encryption, encryption)
    policy = {"Policy": json.dumps(_policy(name))}
    set_("bucket_policy", policy, policy)
    expire = {"ID": "expire", "Status": "Enabled", "Filter": {"Prefix": ""}}
    rules = {"Rules": [{**expire, "Expiration": {"Days": RETENTION}}]}
    lifecycle = {"LifecycleConfiguration": rules}
    set_("bucket_lifecycle_configuration", lifecycle, rules)


def _set(name: str, fresh: bool, setting: str, wanted: dict[str, Any], shown: dict[str, Any]) -> None:
    """Set it unless the bucket already has it."""
    if not fresh:
        found = aws.found(*_UNSET, service="s3", operation=f"get_{setting}", Bucket=name)
        if found and _includes(found, shown):
            return
    _settled("s3", f"put_{setting}", Bucket=name, **wanted)


def _includes(found: Any, wanted: Any) -> bool:
    """Whether everything wanted is found; S3 adds fields of its own."""
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
    """One change, retried while AWS is busy with the previous one; an existing bucket of ours is accepted."""
    try:
        retry_while(
            f"{service} {operation.replace('_', '-')}",
            lambda: aws.change(service, operation, document="alb-logs", **parameters),
            lambda error: isinstance(error, ApiError) and error.code in _NOT_YET,
            timeout=_SETTLING,
        )
    except ApiError as refused:
        if refused.code != "BucketAlreadyOwnedByYou":
            raise


def _entries(account: str, read: Callable[[str], list[Entry]]) -> Iterator[Entry]:
    now = datetime.now(UTC)
    for day in sorted({f"{moment:%Y/%m/%d}/" for moment in (now - _RECENT, now)}):
        listed = {"Bucket": _bucket(account), "Prefix": _folder(account) + day}
        for each in aws.list_all("s3", "list_objects_v2", "Contents", **listed):
            if each["LastModified"] >= now - _RECENT:
                yield from read(each["Key"])


def _read(account: str, key: str) -> list[Entry]:
    content = aws.call("s3", "get_object", Bucket=_bucket(account), Key=key)["Body"].read()
    return [parse(line) for line in gzip.decompress(content).decode(errors="replace").splitlines()]


def _bucket(account: str) -> str:
    return f"{current().TUTORIAL_NAME}-alb-logs-{account}-{current().AWS_REGION}"


def _folder(account: str) -> str:
    return f"AWSLogs/{account}/elasticloadbalancing/{current().AWS_REGION}/"


def _made(one: Entry) -> datetime:
    return datetime.fromisoformat(one["request_creation_time"])
