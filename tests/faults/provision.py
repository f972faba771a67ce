"""The verbs of the notebooks that ask the clouds for something: `python -m tests.faults.provision [aws]`.

With `aws`, without clusters. The clients wait for an answer a short time only.
"""

import sys

from helpers import acm, aws, dns, eks, function, gcp, gke, load_balancer, network
from helpers.base.errors import TutorialError

PATIENCE = 2.0  # seconds


def main(with_clusters: bool) -> None:
    aws._TIMEOUTS["read_timeout"] = PATIENCE
    gcp.TIMEOUT = PATIENCE
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
