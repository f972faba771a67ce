"""The project's `default` VPC network, and what GKE knows of it when it makes a cluster there."""

from collections.abc import Callable

from lab.cluster.cluster import Cluster, ClusterSpec
from lab.cluster.load_balancer import AddressLoadBalancer, Policy
from lab.gcp.oauth import Tokens
from lab.gcp.webhook import TokenWebhook
from lab.network import Internet, Vpc

SUBNET = "10.128.0.0/20"  # of us-central1 in every auto mode network
NODE = "10.128.0.10"
PODS = "10.8.0.0/24"
SERVICES = "34.118.224.0/20"  # GKE's own default range for Services
_DNS = "34.118.224.10"
_API_SERVER = "10.128.0.3"  # its end in the subnet: GKE's Private Service Connect

MakeCluster = Callable[[ClusterSpec, Vpc, Policy], Cluster]


class DefaultNetwork:
    """Attached to the internet with the first cluster, so that a lab without GKE does not carry it."""

    def __init__(
        self,
        internet: Internet,
        make_cluster: MakeCluster,
        start_resolver: Callable[[Vpc], str],
        tokens: Tokens,
    ) -> None:
        self._internet, self._make_cluster = internet, make_cluster
        self._start_resolver, self._tokens = start_resolver, tokens
        self.vpc: Vpc | None = None
        self._webhook: TokenWebhook | None = None
        self._resolver = ""

    def new_cluster(self, name: str) -> Cluster:
        """A cluster that is not started yet, whose API server takes the project's access tokens."""
        vpc, webhook = self._ensure()
        spec = ClusterSpec(
            name=f"gke-{name}",
            address=_API_SERVER,
            pod_range=PODS,
            service_range=SERVICES,
            dns_ip=_DNS,
            resolver=self._resolver,
            token_webhook=webhook.kubeconfig,
        )
        return self._make_cluster(spec, vpc, AddressLoadBalancer(vpc))

    def close(self) -> None:
        """End what was started here; the VPC itself goes with the lab's internet."""
        if self._webhook:
            self._webhook.close()
            self._webhook = None

    def _ensure(self) -> tuple[Vpc, TokenWebhook]:
        # One operation at a time comes here: the project has one cluster.
        if self.vpc is None:
            self.vpc = self._internet.attach("gcp", SUBNET)
            self._resolver = self._start_resolver(self.vpc)
        if self._webhook is None:
            self._webhook = TokenWebhook(self._tokens, self.vpc)
        return self.vpc, self._webhook
