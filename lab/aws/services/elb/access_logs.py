"""Delivers a load balancer's access log to a bucket, as gzip files.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
"""

import gzip
import logging
import secrets
import string
import threading
import time
from collections import defaultdict

from moto.elbv2.models import FakeLoadBalancer
from moto.s3.exceptions import MissingBucket

from lab.aws import delays
from lab.aws.services.elb.refusals import access_logs as refusals
from lab.aws.services.s3.buckets import Buckets
from lab.settings import ACCOUNT_ID

log = logging.getLogger(__name__)
_RANDOM = string.ascii_lowercase + string.digits


class AccessLog:
    """One load balancer's access log; its attributes tell whether and where to deliver it."""

    def __init__(self, lb: FakeLoadBalancer, region: str, buckets: Buckets) -> None:
        self._lb, self._region, self._buckets = lb, region, buckets
        self._waiting: dict[str, list[str]] = defaultdict(list)  # by the address of the load balancer's node
        self._lock = threading.Lock()

    def write(self, node: str, line: str) -> None:
        """Add an entry; it is delivered with the others of its period."""
        if self._lb.attrs.get("access_logs.s3.enabled") != "true":
            return
        with self._lock:
            first = not self._waiting
            self._waiting[node].append(line)
        if first:
            delays.later(delays.ACCESS_LOG, self._deliver)

    def enable(self, attributes: dict[str, str]) -> None:
        """Check these attributes as AWS does, by writing a test file to the bucket."""
        name = attributes.get("access_logs.s3.bucket", "")
        prefix = attributes.get("access_logs.s3.prefix", "")
        test_file = f"{_root(prefix)}/ELBAccessLogTestFile"
        refusals.enable(self._buckets, self._lb.name, self._region, name, prefix, test_file)
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._put(name, test_file, f"Enable AccessLog for ELB: {self._lb.name} at {moment}\n".encode())

    def _deliver(self) -> None:
        with self._lock:
            taken, self._waiting = self._waiting, defaultdict(list)
        attributes, moment = self._lb.attrs, time.gmtime()
        name = attributes["access_logs.s3.bucket"]
        for node, lines in taken.items():
            key = self._key(attributes.get("access_logs.s3.prefix", ""), node, moment)
            try:
                if self._buckets.allows(refusals.DELIVERY, name, "s3:PutObject", key):
                    self._put(name, key, _zipped(lines))
            except MissingBucket:  # the bucket is deleted: as on AWS, no error
                log.debug("no bucket %s for the access log of %s", name, self._lb.name)

    def _key(self, prefix: str, node: str, moment: time.struct_time) -> str:
        folder = time.strftime(f"{_root(prefix)}/elasticloadbalancing/{self._region}/%Y/%m/%d", moment)
        resource = self._lb.arn.rpartition(":loadbalancer/")[2].replace("/", ".")
        parts = (ACCOUNT_ID, "elasticloadbalancing", self._region, resource)
        end, unique = (
            time.strftime("%Y%m%dT%H%MZ", moment),
            "".join(secrets.choice(_RANDOM) for _ in "12345678"),
        )
        return f"{folder}/{'_'.join((*parts, end, node, unique))}.log.gz"

    def _put(self, bucket: str, key: str, content: bytes) -> None:
        self._buckets.put_object(bucket, key, content, encryption="AES256")


def _zipped(lines: list[str]) -> bytes:
    return gzip.compress("".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"))


def _root(prefix: str) -> str:
    return f"{prefix}/AWSLogs/{ACCOUNT_ID}" if prefix else f"AWSLogs/{ACCOUNT_ID}"
