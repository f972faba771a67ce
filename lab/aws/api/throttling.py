"""Who calls too often is told to slow down: token buckets, as AWS documents them. WSGI middleware.

The SDKs wait and try again on their own, so that only a tight burst notices.
"""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from lab.aws.api import call as calls
from lab.aws.api.call import Call, Unreadable, read

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Limit(NamedTuple):
    """A bucket that all calls of the same `bucket` share: how many fit in, how many come back per second."""

    bucket: str
    capacity: float
    per_second: float


class _Refusal(NamedTuple):
    code: str
    message: str = "Rate exceeded"
    status: int = 400


_REFUSALS = {
    "ec2": _Refusal("RequestLimitExceeded", "Request limit exceeded.", 503),
    "lambda": _Refusal("TooManyRequestsException", "Rate exceeded", 429),
    "resourcegroupstaggingapi": _Refusal("ThrottledException"),
    "route53": _Refusal("Throttling"),
}
_REGISTRATION = ("RegisterTargets", "DeregisterTargets")
# https://docs.aws.amazon.com/acm/latest/userguide/acm-limits.html
_ACM = {"ImportCertificate": 1, "RequestCertificate": 5, "AddTagsToCertificate": 5, "ListCertificates": 8}


def limit(call: Call) -> Limit | None:
    """The bucket that the call takes a token from; None where AWS documents none."""
    reads = re.match("Describe|List|Get", call.operation) is not None
    if call.service == "ec2":
        return _ec2(call, reads)
    if call.service in ("elbv2", "elb"):
        # https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-api-throttling.html
        if call.operation in _REGISTRATION:
            return Limit("registration", 20, 4)
        return Limit("non-mutating", 40, 10) if reads else Limit("mutating", 20, 3)
    if call.service == "lambda" and call.operation != "Invoke":
        # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
        own = {"GetFunction": 100, "GetPolicy": 15}.get(call.operation)
        return Limit(call.operation, own, own) if own else Limit("control plane", 15, 15)
    if call.service == "route53":
        # https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html
        return Limit("all", 5, 5)
    if call.service == "acm":
        rate = _ACM.get(call.operation, 10)
        return Limit(call.operation, rate, rate)
    if call.service in ("logs", "resourcegroupstaggingapi"):
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
        return Limit(call.operation, 10, 10)
    return None


def _ec2(call: Call, reads: bool) -> Limit:
    """https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html"""
    if not reads:
        return Limit(call.operation, 50, 5)
    if call.parameters:
        return Limit(call.operation, 100, 20)
    return Limit(f"{call.operation}, unfiltered and unpaginated", 50, 10)


@dataclass
class Bucket:
    """Full at first."""

    limit: Limit
    tokens: float = field(init=False)
    since: float

    def __post_init__(self) -> None:
        self.tokens = self.limit.capacity

    def take(self, now: float) -> bool:
        """Take one token, if there is one at this time (in seconds of a clock that never goes back)."""
        refilled = self.tokens + (now - self.since) * self.limit.per_second
        self.tokens, self.since = min(self.limit.capacity, refilled), now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Throttling:
    """The application, for those calls that come slowly enough."""

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application
        self._buckets: dict[tuple[str, str, str], Bucket] = {}
        self._lock = Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        try:
            call = read(environ)
        except Unreadable:
            call = None  # the next check refuses it
        if call is None or self._passes(call):
            return self._application(environ, start_response)
        refusal = _REFUSALS.get(call.service, _Refusal("ThrottlingException"))
        return calls.refusal(call, *refusal)(environ, start_response)

    def _passes(self, call: Call) -> bool:
        shared = limit(call)
        if shared is None:
            return True
        now, key = time.monotonic(), (call.service, call.region, shared.bucket)
        with self._lock:
            bucket = self._buckets.setdefault(key, Bucket(shared, now))
            return bucket.take(now)
