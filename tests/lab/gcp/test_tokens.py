"""Tokens that Google's auth library creates from the lab's key, used with the APIs and the API server."""

import json
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google.auth
import pytest
import requests
from google.api_core import exceptions
from google.auth import crypt, jwt
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import AuthorizedSession, Request
from google.cloud import container_v1
from google.oauth2 import service_account

from lab.cluster.token_review import TokenWebhook
from lab.gcp.api.app import Api
from lab.gcp.api.oauth import JWT_BEARER, ServiceAccount, Tokens
from lab.gcp.container.clusters import Clusters
from lab.gcp.container.network import DefaultNetwork, user
from lab.gcp.container.operations import Operations
from lab.gcp.container.routes import container_methods
from lab.network import Internet, Vpc
from lab.sockets import listen
from lab.wsgi import Server

WHERE = "projects/lab-project/locations/us-central1-a"
CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
STORAGE = "https://www.googleapis.com/auth/devstorage.read_only"
HOUR = 3600


@dataclass
class Cloud:
    """The API with its token endpoint, and a clock that a test can advance."""

    url: str
    key_file: Path
    tokens: Tokens
    ahead: float = 0

    def now(self) -> float:
        return time.time() + self.ahead

    def key(self) -> dict[str, str]:
        return json.loads(self.key_file.read_text())

    def credentials(self, *scopes: str) -> service_account.Credentials:
        return service_account.Credentials.from_service_account_file(str(self.key_file), scopes=scopes)

    def access_token(self, scope: str = CLOUD_PLATFORM) -> str:
        return self.exchange(self.signed(aud=f"{self.url}/token", scope=scope)).json()["access_token"]

    def signed(self, key: dict[str, str] | None = None, **claims: Any) -> str:
        """A JWT as this account creates it, with some claims replaced; None omits a claim."""
        key = key or self.key()
        now = int(time.time())
        all_claims = {"iss": key["client_email"], "iat": now, "exp": now + HOUR} | claims
        signer = crypt.RSASigner.from_service_account_info(key)
        return jwt.encode(
            signer, {name: value for name, value in all_claims.items() if value is not None}
        ).decode()

    def list_clusters(self, token: str | None) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return requests.get(f"{self.url}/v1/{WHERE}/clusters", headers=headers, timeout=10)

    def exchange(self, assertion: str, grant_type: str = JWT_BEARER) -> requests.Response:
        form = {"grant_type": grant_type, "assertion": assertion}
        return requests.post(f"{self.url}/token", data=form, timeout=10)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory) -> Iterator[Cloud]:
    listener = listen(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    account = ServiceAccount("lab-project")
    key_file = tmp_path_factory.mktemp("google") / "key.json"
    account.write_credentials(key_file, f"{url}/token", (0, 0))
    tokens = Tokens(account, f"{url}/token", now=lambda: made.now())
    made = Cloud(url, key_file, tokens)
    operations = Operations(url)
    network = DefaultNetwork(Internet(key_file.parent), _never, _never, tokens)
    methods = container_methods(Clusters(operations, network, url), operations)
    server = Server(listener, Api(tokens, methods))
    yield made
    server.close()


@pytest.fixture(autouse=True)
def _the_clock_is_right(cloud):
    cloud.ahead = 0


def in_googles_universe(key: dict[str, str]) -> service_account.Credentials:
    key = key | {"universe_domain": "googleapis.com"}
    return service_account.Credentials.from_service_account_info(key, scopes=[CLOUD_PLATFORM])


def _never(*arguments: Any) -> Any:
    raise AssertionError("no cluster is created here")


def test_the_key_file_is_a_service_accounts_and_private(cloud):
    assert stat.S_IMODE(cloud.key_file.stat().st_mode) == 0o600
    key = cloud.key()
    assert key["type"] == "service_account"
    assert key["project_id"] == "lab-project"
    assert key["client_email"] == "tutorial@lab-project.iam.gserviceaccount.com"
    assert key["token_uri"] == f"{cloud.url}/token"


def test_application_default_credentials_reach_the_api(cloud, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(cloud.key_file))
    credentials, project = google.auth.default(scopes=[CLOUD_PLATFORM])
    assert project == "lab-project"
    assert AuthorizedSession(credentials).get(f"{cloud.url}/v1/{WHERE}/clusters").status_code == 200


def test_the_gapic_client_reaches_the_api(cloud, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(cloud.key_file))
    client = container_v1.ClusterManagerClient(transport="rest", client_options={"api_endpoint": cloud.url})
    assert client.get_server_config(name=WHERE).valid_master_versions


def test_googles_own_services_are_never_called(cloud, monkeypatch):
    """In Google's universe, google-auth calls the real iamcredentials service in the background."""
    started: list[Any] = []
    asking = "google.auth._regional_access_boundary_utils._RegionalAccessBoundaryRefreshThread.start"
    monkeypatch.setattr(asking, lambda thread: started.append(thread))
    cloud.credentials(CLOUD_PLATFORM).before_request(Request(), "GET", cloud.url, {})
    assert not started
    in_googles_universe(cloud.key()).before_request(Request(), "GET", cloud.url, {})
    assert started, "the library has changed: check which service it calls now"


def test_a_client_without_credentials_is_rejected(cloud):
    answer = cloud.list_clusters(None)
    assert answer.status_code == 401
    error = exceptions.from_http_response(answer)
    assert isinstance(error, exceptions.Unauthorized)
    assert error.reason == "CREDENTIALS_MISSING"


def test_an_access_token_is_valid_for_an_hour(cloud):
    token = cloud.access_token()
    cloud.ahead = HOUR - 60
    assert cloud.list_clusters(token).status_code == 200
    cloud.ahead = HOUR + 1
    answer = cloud.list_clusters(token)
    assert answer.status_code == 401
    assert answer.json()["error"]["status"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("token", ["ya29.made-up", "", "x", "a.b.c", "a.b.c.d"])
def test_an_invented_token_is_rejected(cloud, token):
    assert cloud.list_clusters(token).status_code == 401


def test_a_token_of_another_scope_is_not_sufficient(cloud):
    answer = cloud.list_clusters(cloud.access_token(STORAGE))
    assert answer.status_code == 403
    assert answer.json()["error"]["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"


@pytest.mark.parametrize(
    "claims, status",
    [
        ({"aud": "https://container.googleapis.com/"}, 200),
        ({"scope": CLOUD_PLATFORM}, 200),
        ({"scope": STORAGE}, 403),
        ({}, 403),
        ({"aud": "https://storage.googleapis.com/"}, 401),
        ({"aud": "https://storage.googleapis.com/", "scope": CLOUD_PLATFORM}, 401),
        ({"aud": "https://container.googleapis.com/", "iss": "another@example.com"}, 401),
        ({"aud": "https://container.googleapis.com/", "exp": 1}, 401),
        ({"aud": "https://container.googleapis.com/", "exp": 2**40}, 401),
        ({"aud": "https://container.googleapis.com/", "iat": 2**40}, 401),
        ({"aud": "https://container.googleapis.com/", "exp": None}, 401),
        ({"aud": "https://container.googleapis.com/", "exp": "soon"}, 401),
    ],
)
def test_self_signed_tokens(cloud, claims, status):
    assert cloud.list_clusters(cloud.signed(**claims)).status_code == status


def test_a_modified_or_strangers_token_is_rejected(cloud, tmp_path):
    token = cloud.signed(aud="https://container.googleapis.com/")
    header, payload, signature = token.split(".")
    other_payload = cloud.signed(aud="https://container.googleapis.com/", sub="admin").split(".")[1]
    assert cloud.list_clusters(f"{header}.{other_payload}.{signature}").status_code == 401
    ServiceAccount("lab-project").write_credentials(tmp_path / "stranger.json", "http://127.0.0.1/", (0, 0))
    stranger = json.loads((tmp_path / "stranger.json").read_text())
    for key in (stranger, stranger | {"private_key_id": cloud.key()["private_key_id"]}):
        assert (
            cloud.list_clusters(cloud.signed(key, aud="https://container.googleapis.com/")).status_code == 401
        )
    assert cloud.list_clusters(f"{header}.{payload}.{signature}").status_code == 200, (
        "the untouched one holds"
    )


@pytest.mark.parametrize(
    "claims, error",
    [
        ({"aud": "https://example.com/token"}, "invalid_grant"),
        ({"iss": "another@lab-project.iam.gserviceaccount.com"}, "invalid_grant"),
        ({"exp": 1}, "invalid_grant"),
        ({"exp": 2**40}, "invalid_grant"),
        ({"iat": 2**40}, "invalid_grant"),
        ({"scope": ""}, "invalid_scope"),
    ],
)
def test_the_token_endpoint_rejects_invalid_assertions(cloud, claims, error):
    good = {"aud": f"{cloud.url}/token", "scope": CLOUD_PLATFORM}
    answer = cloud.exchange(cloud.signed(**good | claims))
    assert answer.status_code == 400
    assert answer.json()["error"] == error
    assert cloud.exchange(cloud.signed(**good)).json()["token_type"] == "Bearer"


def test_the_token_endpoint_supports_one_grant_type(cloud):
    assertion = cloud.signed(aud=f"{cloud.url}/token", scope=CLOUD_PLATFORM)
    assert cloud.exchange(assertion, "client_credentials").json()["error"] == "unsupported_grant_type"


def test_google_auth_exchanges_its_key_for_an_access_token(cloud, tmp_path):
    """Outside Google's universe, google-auth signs its own tokens; inside, it uses this endpoint."""
    credentials = in_googles_universe(cloud.key())
    credentials.refresh(Request())
    assert str(credentials.token).startswith("ya29.")
    assert credentials.valid
    assert cloud.list_clusters(credentials.token).status_code == 200

    ServiceAccount("lab-project").write_credentials(tmp_path / "key.json", f"{cloud.url}/token", (0, 0))
    stranger = in_googles_universe(json.loads((tmp_path / "key.json").read_text()))
    with pytest.raises(RefreshError, match="invalid_grant"):
        stranger.refresh(Request())


@pytest.fixture(scope="module")
def vpc(tmp_path_factory) -> Iterator[Vpc]:
    internet = Internet(tmp_path_factory.mktemp("gcp-webhook"))
    internet.up()
    yield internet.attach("gcp", "10.128.0.0/20")
    internet.down()


@pytest.fixture(scope="module")
def webhook(cloud, vpc) -> Iterator[TokenWebhook]:
    webhook = TokenWebhook(vpc.namespace, lambda token: user(cloud.tokens, token))
    yield webhook
    webhook.close()


def review(webhook: TokenWebhook, vpc: Vpc, body: str) -> str:
    """Post to the webhook as the API server does: from inside the VPC, at the URL in its kubeconfig."""
    server = webhook.kubeconfig["clusters"][0]["cluster"]["server"]
    command = ("curl", "--silent", "--show-error", "--max-time", "10", "--data-binary", "@-", server)
    return vpc.namespace.run(*command, stdin=body).stdout


def status(webhook: TokenWebhook, vpc: Vpc, token: str) -> dict[str, Any]:
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    answer = json.loads(review(webhook, vpc, json.dumps(asked)))
    assert (answer["apiVersion"], answer["kind"]) == (asked["apiVersion"], asked["kind"])
    return answer["status"]


@pytest.mark.parametrize("kind", ["opaque", "self-signed"])
def test_the_accounts_tokens_authenticate_a_cluster_administrator(cloud, webhook, vpc, kind):
    token = cloud.access_token() if kind == "opaque" else cloud.signed(scope=f"openid {CLOUD_PLATFORM}")
    found = status(webhook, vpc, token)
    assert found["authenticated"] is True
    assert found["user"] == {
        "username": "tutorial@lab-project.iam.gserviceaccount.com",
        "groups": ["system:masters"],
    }


def test_the_cluster_rejects_every_other_token(cloud, webhook, vpc):
    token = cloud.access_token()
    for_another = cloud.signed(aud="https://container.googleapis.com/")
    expired = cloud.signed(scope=CLOUD_PLATFORM, exp=1)
    for refused in ("", "ya29.made-up", token[:-1], for_another, expired, cloud.access_token(STORAGE)):
        found = status(webhook, vpc, refused)
        assert found["authenticated"] is False
        assert "user" not in found
    cloud.ahead = HOUR + 1
    assert status(webhook, vpc, token)["authenticated"] is False


def test_the_webhook_is_not_on_the_machines_own_network(webhook):
    with pytest.raises(requests.ConnectionError):
        requests.post(webhook.url, json={}, timeout=5)


@pytest.mark.parametrize("body", ["", "{", "[]", "{}", '{"spec": {}}'])
def test_invalid_token_reviews_are_rejected(webhook, vpc, body):
    assert review(webhook, vpc, body) == "not a TokenReview\n"
