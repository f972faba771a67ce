"""The project's `default` VPC network, and GKE's use of it."""

from collections.abc import Callable
from threading import RLock

from lab.cluster.cluster import Cluster, ClusterSpec, MakeCluster
from lab.cluster.token_review import TokenWebhook, UnauthenticatedError, User
from lab.gcp.api.oauth import CLOUD_PLATFORM, InvalidTokenError, Tokens
from lab.gcp.container.load_balancer import AddressLoadBalancer
from lab.network import Internet, Vpc

SUBNET = "10.128.0.0/20"  # of us-central1 in every auto mode network
NODE = "10.128.0.10"
PODS = "10.8.0.0/24"
SERVICES = "34.118.224.0/20"  # GKE's own default range for Services
_DNS = "34.118.224.10"
_API_SERVER = "10.128.0.3"  # its address in the subnet: GKE's Private Service Connect


class DefaultNetwork:
    """Attached to the internet with the first cluster: a lab without GKE does not need it.

    Hosts have outbound connections with their own public addresses or with Cloud NAT.
    """

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
        self._lock = RLock()
        self._region = ""  # of the cluster
        self._public_nodes = False
        self._nats: set[str] = set()  # the regions with Cloud NAT

    def new_cluster(self, name: str, region: str) -> Cluster:
        """A cluster that is not started yet; its API server accepts the project's access tokens."""
        vpc, webhook = self._ensure()
        with self._lock:
            self._region = region
            self._update_nat()
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

    def set_nat(self, region: str, open: bool) -> None:
        """Whether the region has Cloud NAT for all subnets of this network."""
        with self._lock:
            self._nats = self._nats | {region} if open else self._nats - {region}
            self._update_nat()

    def set_public_nodes(self, there: bool) -> None:
        """Whether some nodes have public addresses, which need no NAT."""
        with self._lock:
            self._public_nodes = there
            self._update_nat()

    def _update_nat(self) -> None:
        # One namespace is the network and the cluster's nodes, so either all have NAT or none.
        if self.vpc:
            self.vpc.set_nat(self._public_nodes or self._region in self._nats)

    def close(self) -> None:
        """Stop what was started here; the lab's internet deletes the VPC."""
        if self._webhook:
            self._webhook.close()
            self._webhook = None

    def _ensure(self) -> tuple[Vpc, TokenWebhook]:
        # Never concurrent: the project has one cluster, with one operation at a time.
        if self.vpc is None:
            vpc = self._internet.attach("gcp", SUBNET)
            try:
                self._resolver = self._start_resolver(vpc)
            except BaseException:
                vpc.delete()
                raise
            self.vpc = vpc
        if self._webhook is None:
            self._webhook = TokenWebhook(self.vpc.namespace, lambda token: user(self._tokens, token))
        return self.vpc, self._webhook


def user(tokens: Tokens, token: str) -> User:
    """The Kubernetes user behind a Google access token. Raises UnauthenticatedError.

    IAM's container.admin is an administrator of every cluster of its project; for RBAC that is a group.
    """
    try:
        known = tokens.verify(token)
    except InvalidTokenError as error:
        raise UnauthenticatedError(str(error)) from None
    if CLOUD_PLATFORM not in known.scopes:
        raise UnauthenticatedError("the token lacks the scope cloud-platform")
    return {"username": known.email, "groups": ["system:masters"]}
