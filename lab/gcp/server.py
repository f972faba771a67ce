"""Google Cloud on 127.0.0.1: one HTTP server for the GKE API, other APIs and OAuth tokens."""

from collections.abc import Callable
from pathlib import Path

from lab.cluster.cluster import MakeCluster
from lab.gcp.api.app import Api
from lab.gcp.api.oauth import ServiceAccount, Tokens
from lab.gcp.api.service_usage import ServiceUsage
from lab.gcp.compute.project import ProjectInfo
from lab.gcp.compute.region_operations import RegionOperations
from lab.gcp.compute.routers import Routers
from lab.gcp.compute.routes import PATH, compute_methods
from lab.gcp.container.clusters import Clusters
from lab.gcp.container.network import DefaultNetwork
from lab.gcp.container.operations import Operations
from lab.gcp.container.routes import container_methods
from lab.network import Internet, Vpc
from lab.settings import GOOGLE_PROJECT, Lab
from lab.sockets import listen_locally
from lab.wsgi import Server


class Gcp:
    """One Google Cloud project, `lab-project`, with one service account that owns it.

    `make_cluster(spec, vpc, load_balancers)` returns a `lab.cluster.Cluster` that is not started yet;
    `start_resolver(vpc)` starts the VPC's DNS resolver and returns its address.
    """

    def __init__(
        self,
        lab: Lab,
        internet: Internet,
        make_cluster: MakeCluster,
        start_resolver: Callable[[Vpc], str],
        port: int = 0,
    ) -> None:
        self._lab, self._port = lab, port
        self.credentials_file: Path = lab.data / "google-credentials.json"
        self._internet, self._make_cluster, self._start_resolver = internet, make_cluster, start_resolver
        self._server: Server | None = None

    def start(self) -> None:
        """Listen on 127.0.0.1:port and write the account's key file. LabError if the port is taken."""
        listener = listen_locally(self._port, "the GKE API", "LAB_GKE_PORT")
        self._port = listener.getsockname()[1]
        token_uri = f"{self.endpoint_url}/token"
        account = ServiceAccount(GOOGLE_PROJECT)
        tokens = Tokens(account, token_uri)
        self._network = DefaultNetwork(self._internet, self._make_cluster, self._start_resolver, tokens)
        self._operations = Operations(self.endpoint_url)
        self._clusters = Clusters(self._operations, self._network, self.endpoint_url)
        compute_url = f"{self.endpoint_url}{PATH}"
        self._region_operations = RegionOperations(compute_url)
        routers = Routers(self._region_operations, self._network.set_nat, compute_url)
        container = container_methods(self._clusters, self._operations)
        compute = compute_methods(routers, self._region_operations, ProjectInfo(compute_url))
        api = Api(tokens, [*container, *compute, ServiceUsage()])
        self._server = Server(listener, api)
        account.write_credentials(
            self.credentials_file, token_uri, (self._lab.owner_uid, self._lab.owner_gid)
        )

    def stop(self) -> None:
        """Stop the API, then every cluster. Idempotent."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        self._operations.close()
        self._region_operations.close()
        self._clusters.close()
        self._network.close()
        self.credentials_file.unlink(missing_ok=True)

    @property
    def endpoint_url(self) -> str:
        """The API's address, without a trailing slash."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def vpc(self) -> Vpc | None:
        """The project's `default` network, after a cluster has been created in it."""
        return self._network.vpc if self._server else None
