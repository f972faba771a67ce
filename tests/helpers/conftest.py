"""Each test has its own settings, and plain moto as AWS: no lab, and none of the reader's files."""

import itertools
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from helpers.base import waiting
from helpers.base.settings import Settings, current
from helpers.clusters import kubeconfig
from lab.network import Internet
from tests.helpers import api_server, mesh, pods_server
from tests.helpers.pods_server import PodsServer

if TYPE_CHECKING:
    from tests.lab.gcp.stand_in import Google


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Helpers do not see any setting of the machine or of the lab."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TUTORIAL_SETTINGS", os.devnull)
    monkeypatch.setenv("TUTORIAL_BUILD_DIR", str(tmp_path / "build"))
    monkeypatch.setenv("TUTORIAL_AUTHORIZED_CIDR", "203.0.113.7")  # no external service is queried


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"  # moto reads it on import
    from moto.server import ThreadedMotoServer  # the import takes seconds, and few tests need it

    _filter_nat_gateways_by_tag()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def _filter_nat_gateways_by_tag() -> None:
    """Filter as EC2 does and moto does not: tests must not find each other's gateways."""
    from moto.ec2.models.nat_gateways import NatGatewayBackend
    from moto.ec2.utils import generic_filter

    describe = NatGatewayBackend.describe_nat_gateways

    def by_tag(self: Any, filters: Any, ids: Any) -> list[Any]:
        tags = {name: values for name, values in (filters or {}).items() if name.startswith("tag")}
        return generic_filter(tags, describe(self, filters, ids))

    NatGatewayBackend.describe_nat_gateways = by_tag  # type: ignore[method-assign]


_numbers = itertools.count(1)


@pytest.fixture
def moto(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """AWS's endpoint, with a tutorial name and a domain that no other test has used.

    (After a reset, moto would load AWS's thousand managed policies again, which takes seconds.)
    """
    name = f"test-{next(_numbers)}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    monkeypatch.setenv("TUTORIAL_NAME", name)
    monkeypatch.setenv("TUTORIAL_DOMAIN", f"{name}.example.com")
    return moto_url


@pytest.fixture
def google(tmp_path: Path, internet: Internet, monkeypatch: pytest.MonkeyPatch) -> Iterator["Google"]:
    """The emulated Google Cloud."""
    from tests.lab.gcp.stand_in import Google  # imports Google's clients, which is slow

    google = Google(tmp_path, internet)
    google.gcp.start()
    endpoint = google.gcp.endpoint_url
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "lab-project")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(google.gcp.credentials_file))
    monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE", f"{endpoint}/compute/v1/")
    monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER", f"{endpoint}/")
    yield google
    google.gcp.stop()


@pytest.fixture(scope="module")
def server(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with api_server.running(programs, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def cluster(server, programs: Path, monkeypatch) -> None:
    """The API server as the context `eks`, with a token in the kubeconfig."""
    monkeypatch.setenv("TUTORIAL_TOOLS", str(programs))
    write_context("eks", *server, api_server.TOKEN)


@pytest.fixture
def both(cluster, server) -> None:
    """The API server as both contexts."""
    write_context("gke", *server, api_server.TOKEN)


@pytest.fixture(scope="module")
def controllers(server, programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Deployments have pods, and these run."""
    with mesh.controllers(programs, server, tmp_path_factory.mktemp("controllers")):
        yield


@pytest.fixture
def path(both, controllers) -> Iterator[None]:
    """New pods on the request's path."""
    mesh.deploy()
    yield
    mesh.delete()


@pytest.fixture
def envoys(both, programs: Path, tmp_path: Path, monkeypatch) -> mesh.Envoys:
    """Envoys that have what is on the API server, as `istioctl` shows them."""
    monkeypatch.setenv("TUTORIAL_TOOLS", str(tmp_path / "tools"))
    return mesh.tools(programs, tmp_path / "tools")


@pytest.fixture
def impatient(monkeypatch) -> None:
    """What is waited for has to be there at once."""
    monkeypatch.setattr(waiting, "_at_most", lambda _: 0.1)


@pytest.fixture
def in_pods() -> Iterator[PodsServer]:
    """An API server with a pod in every namespace, as both contexts."""
    with pods_server.running() as running:
        for context in ("eks", "gke"):
            write_context(context, running.url, "", "any token")
        yield running


def write_context(context: str, server: str, ca_data: str, token: str) -> None:
    kubeconfig.write(context, server, ca_data, "aws eks update-kubeconfig")
    config = yaml.safe_load(current().KUBECONFIG.read_text())
    users = [user for user in config["users"] if user["name"] != context]
    config["users"] = [*users, {"name": context, "user": {"token": token}}]
    current().KUBECONFIG.write_text(yaml.safe_dump(config))
