"""AWS's API on 127.0.0.1: moto's server in this process, with real parts behind it."""

from pathlib import Path

from lab.aws.dns import PublicDns
from lab.network import Internet, Vpc
from lab.processes import Processes
from lab.settings import Lab


class Aws:
    """One AWS for one process (moto keeps its state in module globals).

    `make_cluster(spec, vpc, region)` builds a `lab.cluster.Cluster` that is not started yet.
    """

    vpcs: dict[str, Vpc]
    dns: PublicDns

    def __init__(
        self, lab: Lab, internet: Internet, processes: Processes, make_cluster, programs: Path, port: int = 0
    ) -> None:
        self.lab, self.internet, self.processes = lab, internet, processes
        self.make_cluster, self.programs, self.port = make_cluster, programs, port
        self.vpcs = {}

    def start(self) -> None:
        """Listen on 127.0.0.1:port; start the public DNS server in the namespace `internet`."""

    def stop(self) -> None:
        """End every cluster, function, load balancer, resolver and VPC, then the API."""

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def publish(self, hostname: str, addresses: list[str]) -> None:
        """A load balancer's host name resolves to these addresses, publicly (for Services of type LoadBalancer)."""

    def withdraw(self, hostname: str) -> None:
        """The host name is NXDOMAIN again."""
