"""Asks the clouds for all that the notebooks ask for, in one process: `python -m tests.faults.provision`.

With an argument `aws`, without clusters. The clients wait for an answer a short time only.
"""

import sys

from helpers import aws, certificate, dns, eks, function, gke, load_balancer, network
from helpers.errors import TutorialError

PATIENCE = 3.0  # seconds


def main(with_clusters: bool) -> None:
    aws._TIMEOUTS["read_timeout"] = PATIENCE
    gke._TIMEOUT = PATIENCE
    if with_clusters:
        gke.create()
    network.ensure()
    if with_clusters:
        eks.create()
    function.ensure()
    function.invoke()
    certificate.ensure()
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
