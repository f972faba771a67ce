"""The notebooks' helpers that call the clouds: `python -m tests.faults.provision [aws]`.

With `aws`, without clusters. The clients have a short timeout.
"""

import sys

from helpers import acm, aws, dns, eks, function, gcp, gke, load_balancer, network
from helpers.base.errors import TutorialError

TIMEOUT = 2.0  # seconds


def main(with_clusters: bool) -> None:
    aws._TIMEOUTS["read_timeout"] = TIMEOUT
    gcp.TIMEOUT = TIMEOUT
    if with_clusters:
        gke.create()
    network.ensure()
    if with_clusters:
        eks.create()
    function.ensure()
    function.invoke()
    acm.ensure()
    load_balancer.ensure()
    load_balancer.wait_healthy()
    dns.ensure()
    if with_clusters:
        eks.ensure()
        gke.ensure()


if __name__ == "__main__":
    try:
        main(with_clusters=sys.argv[1:] != ["aws"])
    except TutorialError as error:
        sys.exit(f"{type(error).__name__}: {error}")
