"""The emulated Google Cloud with one of Google's clients, and a fake of the clusters behind it."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from google.cloud import container_v1
from google.cloud.container_v1.types import Operation

from lab.gcp.api.oauth import UNIVERSE
from lab.gcp.server import Gcp
from lab.network import Internet
from lab.settings import Lab

WHERE = "projects/lab-project/locations/us-central1-a"
GKE = f"{WHERE}/clusters/gke"
LIMIT = 20  # seconds, for any wait
CA = b"-----BEGIN CERTIFICATE-----\n"


class Machines:
    """A fake of lab.cluster's Cluster; its gates let a test inspect each state."""

    def __init__(self, spec: Any) -> None:
        self.spec, self.endpoint, self.ca_certificate = spec, "", CA
        self.control_plane, self.node = threading.Event(), threading.Event()
        self.failure: Exception | None = None
        self.nodes: list[tuple[str, str, dict[str, str]]] = []
        self.stopped = False
        self.dead: list[str] = []

    def start_control_plane(self) -> None:
        assert self.control_plane.wait(LIMIT)
        if self.failure:
            raise self.failure
        self.endpoint = "127.0.0.1:6443"

    def start_node(self, name: str, address: str, labels: dict[str, str]) -> None:
        assert self.node.wait(LIMIT)
        self.nodes.append((name, address, labels))

    def ended(self) -> list[str]:
        return self.dead

    def stop_node(self) -> None:
        self.nodes.clear()

    def stop(self) -> None:
        self.stopped = True


class Google:
    """A running emulation and the clusters that it created."""

    def __init__(self, folder: Path, internet: Internet) -> None:
        self.machines: list[Machines] = []
        self.patient = False  # whether clusters wait until the test opens their gates
        self.failure: Exception | None = None
        self.gcp = Gcp(_lab(folder), internet, self.make_cluster, lambda vpc: vpc.resolver)

    def make_cluster(self, spec: Any, vpc: Any, load_balancers: Any) -> Any:
        machines = Machines(spec)
        machines.failure = self.failure
        if not self.patient:
            machines.control_plane.set()
            machines.node.set()
        self.machines.append(machines)
        return machines

    def for_gcloud(self, folder: Path) -> dict[str, str]:
        """The environment in which gcloud calls the emulated cloud, with its own files in that folder."""
        endpoint = self.gcp.endpoint_url
        return os.environ | {
            "CLOUDSDK_CONFIG": str(folder / "gcloud"),
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
            "CLOUDSDK_CORE_UNIVERSE_DOMAIN": UNIVERSE,
            "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE": str(self.gcp.credentials_file),
            "CLOUDSDK_AUTH_TOKEN_HOST": f"{endpoint}/token",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER": f"{endpoint}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_SERVICEUSAGE": f"{endpoint}/",
        }

    def wait(self, operation: Operation) -> Operation:
        """Poll until it is DONE, as a caller of GKE does."""
        name = f"{WHERE}/operations/{operation.name}"
        self.until(lambda: self.client.get_operation(name=name).status == Operation.Status.DONE)
        return self.client.get_operation(name=name)

    @cached_property
    def client(self) -> container_v1.ClusterManagerClient:
        """With the key file in GOOGLE_APPLICATION_CREDENTIALS: it signs its own tokens (AIP-4111)."""
        return container_v1.ClusterManagerClient(
            transport="rest", client_options={"api_endpoint": self.gcp.endpoint_url}
        )

    def get(self) -> Any:
        return self.client.get_cluster(name=GKE)

    @staticmethod
    def until(condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def create(self, **cluster: Any) -> Operation:
        asked: Any = {"name": "gke", "initial_node_count": 1} | cluster
        return self.wait(self.client.create_cluster(parent=WHERE, cluster=asked))


@contextmanager
def internet_in(folder: Path) -> Iterator[Internet]:
    """The lab's internet, up, for the networks of an emulated cloud."""
    internet = Internet(folder)
    internet.up()
    yield internet
    internet.down()


def _lab(folder: Path) -> Lab:
    class _Lab(Lab):
        @property
        def data(self) -> Path:
            return folder

    return _Lab(name="pytest-gcp")
