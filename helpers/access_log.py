"""The load balancer's access log: AWS delivers it as gzip files into a bucket, every five minutes.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html
"""

from datetime import datetime


def ensure(load_balancer_arn: str) -> None:
    """The bucket, closed to all but the load balancer's log delivery, and the log switched on."""
    raise NotImplementedError


def entry(client: str, limit: float = 400, *, since: datetime | None = None) -> dict[str, str]:
    """The log's entry whose `client:port` is `client`, e.g. "10.0.4.7:43210"; keys are AWS's field names.

    Envoy logs that address as %UPSTREAM_LOCAL_ADDRESS%. A connection is used for several requests: with
    `since` (Envoy's %START_TIME%), the first one made from then on; without, the last one.
    Waits up to `limit` seconds; raises TimedOut.
    """
    raise NotImplementedError


def entries(minutes: float = 15) -> list[dict[str, str]]:
    """The entries delivered in the last minutes, newest first."""
    raise NotImplementedError
