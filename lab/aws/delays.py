"""Delays for operations that take seconds or minutes on AWS: short, but callers must wait for them."""

import logging
from collections.abc import Callable
from threading import Timer

log = logging.getLogger(__name__)

# In seconds.
ROLE = 1.0  # a new role, until services can assume it; AWS: about ten seconds
FUNCTION = 1.0  # Pending, and an update InProgress
BALANCER = 1.0  # provisioning; AWS: two to three minutes
INTERFACES = 1.0  # of a deleted load balancer; AWS: minutes
NAT_GATEWAY = 1.0  # pending, and deleting; AWS: one to three minutes
ACCESS_LOG = 1.0  # of a load balancer, until delivery; AWS: five minutes
INSTANCE_CHECK = 0.5  # between a Classic Load Balancer's health checks; Kubernetes configures 10
CHANGE = 0.5  # of a hosted zone, PENDING; AWS: up to a minute
CERTIFICATE = 1.0  # a requested one: until it names, then finds its DNS record; AWS: seconds, minutes


def later(seconds: float, work: Callable[[], None]) -> None:
    """Run it in the background, after a delay; errors are logged."""

    def run() -> None:
        try:
            work()
        except Exception:
            log.exception("in the background, after %g s", seconds)

    timer = Timer(seconds, run)
    timer.daemon = True
    timer.start()
