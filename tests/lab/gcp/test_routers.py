"""Cloud Routers with Cloud NAT through Google's own client of Compute Engine."""

import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any

import google.auth
import pytest
from google.api_core import exceptions
from google.auth.transport.requests import AuthorizedSession
from google.cloud import compute_v1
from google.oauth2 import service_account

from lab.gcp.api.oauth import UNIVERSE
from lab.network import Internet
from tests.lab.gcp.stand_in import LIMIT, Google

PROJECT, REGION = "lab-project", "us-central1"
PATH = f"projects/{PROJECT}/regions/{REGION}/routers/nat"
SCOPE = "https://www.googleapis.com/auth/"
ALL = "ALL_SUBNETWORKS_ALL_IP_RANGES"
NAT = {
    "name": "everything",
    "nat_ip_allocate_option": "AUTO_ONLY",
    "source_subnetwork_ip_ranges_to_nat": ALL,
}
ROUTER = {"name": "nat", "network": f"projects/{PROJECT}/global/networks/default", "nats": [NAT]}
CONFLICT = f"Can not create new Nats since a Nat with option {ALL} exists."


class Compute:
    """Google's clients for one emulated cloud."""

    def __init__(self, cloud: Google) -> None:
        self.url = cloud.gcp.endpoint_url
        self.key_file = str(cloud.gcp.credentials_file)
        options = {"api_endpoint": self.url}
        self.routers = compute_v1.RoutersClient(transport="rest", client_options=options)
        self.operations = compute_v1.RegionOperationsClient(transport="rest", client_options=options)

    def insert(self, region: str = REGION, **router: Any) -> Any:
        return self.routers.insert(project=PROJECT, region=region, router_resource=ROUTER | router)

    def done(self, operation: Any) -> Any:
        """The client's own `result` calls compute.googleapis.com, whatever its endpoint."""
        region = operation.region.rpartition("/")[2]
        return self.operations.wait(project=PROJECT, region=region, operation=operation.name)

    def delete(self, name: str = "nat", region: str = REGION) -> Any:
        return self.routers.delete(project=PROJECT, region=region, router=name)

    def get(self, name: str = "nat", region: str = REGION) -> Any:
        return self.routers.get(project=PROJECT, region=region, router=name)

    def listed(self, **parameters: Any) -> list[str]:
        request = {"project": PROJECT, "region": REGION} | parameters
        return [router.name for router in self.routers.list(request=request)]

    def everywhere(self, **parameters: Any) -> dict[str, Any]:
        return dict(self.routers.aggregated_list(request={"project": PROJECT} | parameters))

    def session(self) -> AuthorizedSession:
        return AuthorizedSession(google.auth.default(scopes=[f"{SCOPE}cloud-platform"])[0])

    def clear(self) -> None:
        for scoped in self.everywhere().values():
            for router in scoped.routers:
                Google.until(partial(self._deleted, router))

    def _deleted(self, router: Any) -> bool:
        """Delete it, unless one of the test's operations is running on it."""
        try:
            self.done(self.delete(router.name, router.region.rpartition("/")[2]))
        except exceptions.BadRequest:
            return False
        except exceptions.NotFound:
            pass
        return True


@pytest.fixture(scope="module")
def cloud(tmp_path_factory) -> Iterator[Google]:
    folder = tmp_path_factory.mktemp("gcp-routers")
    cloud = Google(folder, Internet(folder / "run"))  # its networks are not needed
    cloud.gcp.start()
    yield cloud
    cloud.gcp.stop()


@pytest.fixture
def compute(cloud, monkeypatch) -> Iterator[Compute]:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(cloud.gcp.credentials_file))
    compute = Compute(cloud)
    yield compute
    compute.clear()


def errors(error: exceptions.GoogleAPICallError) -> tuple[int, str]:
    """Code and reason, in Compute Engine's own format."""
    assert error.response is not None
    document = error.response.json()["error"]
    assert "status" not in document
    [one] = document["errors"]
    assert one["message"] == document["message"] == error.response.json()["error"]["message"]
    assert one["domain"] == "global"
    return document["code"], one["reason"]


def test_gcloud_adds_a_nat_to_an_existing_router(compute):
    compute.done(compute.insert(description="the way out", nats=[]))
    before = compute.get()
    before.nats = [NAT]
    names = {"project": PROJECT, "region": REGION, "router": "nat"}
    operation = compute.routers.patch(**names, router_resource=before)
    with pytest.raises(exceptions.BadRequest, match="is not ready"):
        compute.delete()
    assert not compute.get().nats, "it is not shown before the operation is DONE"
    compute.done(operation)
    (nat,) = compute.get().nats
    assert (nat.name, nat.type_, compute.get().description) == ("everything", "PUBLIC", "the way out")
    compute.done(compute.insert(name="second", nats=[]))
    for changed, message in (
        ({"router": "second", "router_resource": {"nats": [NAT]}}, CONFLICT),
        ({"router_resource": {"name": "other"}}, "Must be the router's name, 'nat'"),
        ({"router_resource": {"nats": [NAT | {"name": "?"}]}}, "Must be a match of regex"),
    ):
        with pytest.raises(exceptions.BadRequest, match=re.escape(message)):
            compute.routers.patch(**names | changed)
    with pytest.raises(exceptions.NotFound):
        compute.routers.patch(**names | {"router": "none", "router_resource": {"nats": [NAT]}})


def test_a_router_is_inserted_and_deleted(compute):
    operation = compute.insert(description="the way out")
    assert operation.operation_type == "insert"
    assert operation.status == compute_v1.Operation.Status.RUNNING
    assert operation.target_link == f"{compute.url}/compute/v1/{PATH}"
    assert operation.region == f"{compute.url}/compute/v1/projects/{PROJECT}/regions/{REGION}"
    assert operation.user == f"tutorial@{PROJECT}.iam.gserviceaccount.com"
    assert compute.get().id == operation.target_id, "it is shown as soon as the call is accepted"
    compute.done(operation)
    done = compute.operations.get(project=PROJECT, region=REGION, operation=operation.name)
    assert (done.status, done.progress) == (compute_v1.Operation.Status.DONE, 100)
    assert done.end_time > done.start_time == done.insert_time
    assert not done.error.errors

    deletion = compute.delete()
    assert deletion.operation_type == "delete"
    assert deletion.target_id == operation.target_id
    assert compute.get().name == "nat", "it is shown until the operation is DONE"
    compute.done(deletion)
    with pytest.raises(exceptions.NotFound) as refused:
        compute.get()
    assert errors(refused.value) == (404, "notFound")
    assert refused.value.message.endswith(f"The resource '{PATH}' was not found")
    with pytest.raises(exceptions.NotFound):
        compute.delete()


def test_a_router_is_described_as_by_google(compute):
    log = {"enable": True, "filter": "ERRORS_ONLY"}
    compute.done(compute.insert(description="d" * 2048, nats=[NAT | {"log_config": log}]))
    router = compute.get()
    assert (router.kind, router.name, router.description) == ("compute#router", "nat", "d" * 2048)
    base = f"{compute.url}/compute/v1/projects/{PROJECT}"
    assert router.network == f"{base}/global/networks/default"
    assert router.region == f"{base}/regions/{REGION}"
    assert router.self_link == f"{compute.url}/compute/v1/{PATH}"
    assert router.creation_timestamp
    [nat] = router.nats
    assert (nat.name, nat.nat_ip_allocate_option, nat.type_) == ("everything", "AUTO_ONLY", "PUBLIC")
    assert nat.source_subnetwork_ip_ranges_to_nat == ALL
    assert list(nat.endpoint_types) == ["ENDPOINT_TYPE_VM"]
    assert (nat.log_config.enable, nat.log_config.filter) == (True, "ERRORS_ONLY")
    document = compute.session().get(router.self_link).json()
    assert document["id"] == str(router.id), "64-bit numbers are strings in JSON"
    assert document["nats"][0]["natIpAllocateOption"] == "AUTO_ONLY"


@pytest.mark.parametrize(
    "network",
    [
        "global/networks/default",
        f"projects/{PROJECT}/global/networks/default",
        f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/global/networks/default",
    ],
)
def test_a_network_can_be_given_in_several_forms(compute, network):
    compute.insert(network=network)
    assert compute.get().network.endswith(f"/compute/v1/projects/{PROJECT}/global/networks/default")


def nat(**parts: Any) -> dict[str, Any]:
    return {"nats": [NAT | parts]}


@pytest.mark.parametrize(
    "asked, reason, message",
    [
        ({"name": "NAT"}, "invalid", "field 'resource.name': 'NAT'. Must be a match of regex"),
        ({"name": "a" * 64}, "invalid", "Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'"),
        ({"name": None}, "required", "Required field 'resource.name' not specified"),
        ({"description": "d" * 2049}, "invalid", "Invalid value for field 'resource.description'"),
        ({"network": None}, "required", "Required field 'resource.network' not specified"),
        ({"network": "default"}, "invalid", "'default'. The URL is malformed."),
        ({"network": "projects/another/global/networks/default"}, "invalid", "Cross-project references"),
        (nat(name="Upper"), "invalid", "Invalid value for field 'resource.nats[0].name': 'Upper'."),
        (nat(name=None), "required", "Required field 'resource.nats[0].name' not specified"),
        (nat(nat_ip_allocate_option="AUTO"), "invalid", "natIpAllocateOption': 'AUTO'. Must be one of"),
        (nat(nat_ip_allocate_option=None), "required", "resource.nats[0].natIpAllocateOption' not specified"),
        (nat(nat_ips=["global/addresses/a"]), "invalid", "resource.nats[0].natIps[0]': 'global/addresses/a'"),
        (nat(source_subnetwork_ip_ranges_to_nat="ALL"), "invalid", "sourceSubnetworkIpRangesToNat': 'ALL'"),
        (nat(source_subnetwork_ip_ranges_to_nat=None), "required", "sourceSubnetworkIpRangesToNat' not sp"),
        (nat(subnetworks=[{"name": "default"}]), "invalid", "nats[0].subnetworks[0].name': 'default'"),
        (nat(log_config={"filter": "SOME"}), "invalid", "resource.nats[0].logConfig.filter': 'SOME'"),
        ({"nats": [NAT, NAT]}, "invalid", f"nats[1].sourceSubnetworkIpRangesToNat': '{ALL}'. {CONFLICT}"),
    ],
)  # fmt: skip
def test_invalid_routers_are_rejected_as_by_google(compute, asked, reason, message):
    with pytest.raises(exceptions.BadRequest) as refused:
        compute.insert(**asked)
    assert errors(refused.value) == (400, reason)
    assert message in refused.value.message
    assert not compute.listed()


def test_a_missing_network_is_not_found(compute):
    with pytest.raises(exceptions.NotFound) as refused:
        compute.insert(network=f"projects/{PROJECT}/global/networks/other")
    assert errors(refused.value) == (404, "notFound")
    assert f"The resource 'projects/{PROJECT}/global/networks/other' was not found" in refused.value.message
    assert not compute.listed()


@pytest.mark.parametrize(
    "asked, named",
    [
        (nat(nat_ip_allocate_option="MANUAL_ONLY", nat_ips=["a"]), "MANUAL_ONLY"),
        (nat(source_subnetwork_ip_ranges_to_nat="LIST_OF_SUBNETWORKS"), "LIST_OF_SUBNETWORKS"),
        (nat(type_="PRIVATE"), "a NAT between networks"),
        (nat(min_ports_per_vm=64), "min_ports_per_vm"),
        ({"bgp": {"asn": 64512}}, "bgp"),
        ({"encrypted_interconnect_router": True}, "encrypted_interconnect_router"),
    ],
)
def test_unsupported_features_are_reported(compute, asked, named):
    with pytest.raises(exceptions.MethodNotImplemented, match=f"The lab does not offer .*{named}"):
        compute.insert(**asked)
    assert not compute.listed()
    with pytest.raises(exceptions.MethodNotImplemented, match="The lab does not offer PUT"):
        compute.routers.update(project=PROJECT, region=REGION, router="nat", router_resource={})


def test_a_duplicate_name_or_a_second_nat_is_rejected(compute):
    compute.done(compute.insert())
    with pytest.raises(exceptions.Conflict) as refused:
        compute.insert()
    assert errors(refused.value) == (409, "alreadyExists")
    assert f"The resource '{PATH}' already exists" in refused.value.message
    with pytest.raises(exceptions.BadRequest, match=CONFLICT):
        compute.insert(name="second")
    compute.insert(name="second", nats=[])
    compute.done(compute.insert(region="europe-west1"))
    assert compute.listed() == ["nat", "second"]
    assert compute.get(region="europe-west1").nats


def test_calls_are_rejected_while_an_operation_is_running(compute):
    inserting = compute.insert()
    with pytest.raises(exceptions.BadRequest, match=f"The resource '{PATH}' is not ready") as refused:
        compute.delete()
    assert errors(refused.value) == (400, "resourceNotReady")
    with pytest.raises(exceptions.Conflict):
        compute.insert()
    compute.done(inserting)
    deleting = compute.delete()
    for again in (compute.delete, compute.insert):
        with pytest.raises(exceptions.BadRequest, match="is not ready"):
            again()
    compute.done(deleting)
    compute.insert()


def test_a_repeated_request_id_has_no_effect(compute):
    request = {"project": PROJECT, "region": REGION, "router_resource": ROUTER}
    request |= {"request_id": str(uuid.uuid4())}
    first = compute.routers.insert(request=request)
    assert compute.routers.insert(request=request).name == first.name
    assert first.client_operation_id == request["request_id"]
    with pytest.raises(exceptions.BadRequest, match="Invalid value for field 'requestId': 'once'"):
        compute.routers.insert(request=request | {"request_id": "once"})


def test_wait_returns_the_finished_operation(compute):
    names = {"project": PROJECT, "region": REGION}
    operation = compute.operations.wait(operation=compute.insert().name, **names)
    assert operation.status == compute_v1.Operation.Status.DONE
    for call in (compute.operations.wait, compute.operations.get):
        with pytest.raises(exceptions.NotFound, match=f"regions/{REGION}/operations/other' was not found"):
            call(operation="other", **names)
    with pytest.raises(exceptions.NotFound):
        compute.operations.get(project=PROJECT, region="europe-west1", operation=operation.name)


def test_lists_are_paginated(compute):
    for name in ("nat", "other", "third"):
        compute.insert(name=name, description=f"the {name}", nats=[])
    assert compute.listed() == ["nat", "other", "third"]
    assert compute.listed(region="europe-west1") == []
    assert compute.listed(max_results=2) == ["nat", "other", "third"], "the client asks for the next page"
    pages = compute.routers.list(request={"project": PROJECT, "region": REGION, "max_results": 2}).pages
    assert [len(page.items) for page in pages] == [2, 1]
    for wrong in ({"page_token": "?"}, {"max_results": 501}):
        with pytest.raises(exceptions.BadRequest, match="Invalid value for field"):
            compute.listed(**wrong)
    for unknown in ({"filter": "name = nat"}, {"order_by": "name"}):
        with pytest.raises(exceptions.MethodNotImplemented, match="does not offer the field"):
            compute.listed(**unknown)


def test_the_aggregated_list_has_all_regions(compute):
    [(region, empty)] = compute.everywhere().items()
    assert (region, empty.warning.code) == (f"regions/{REGION}", "NO_RESULTS_ON_PAGE")
    assert not empty.routers
    compute.insert()
    compute.insert(region="europe-west1")
    found = compute.everywhere(include_all_scopes=True)
    assert {region: [one.name for one in scoped.routers] for region, scoped in found.items()} == {
        f"regions/{REGION}": ["nat"],
        "regions/europe-west1": ["nat"],
    }
    assert not found[f"regions/{REGION}"].warning.code


@pytest.mark.parametrize("region", ["moon", "us-central1-a"])
def test_an_unknown_region_is_rejected(compute, region):
    with pytest.raises(exceptions.BadRequest) as refused:
        compute.insert(region=region)
    assert errors(refused.value) == (400, "invalid")
    assert f"Invalid value for field 'region': '{region}'. Unknown region." in refused.value.message


def test_another_project_is_forbidden(compute):
    other: dict[str, Any] = {"project": "another", "region": REGION}
    router = f"projects/another/regions/{REGION}/routers/nat"
    operation = f"projects/another/regions/{REGION}/operations/o"
    for call, arguments, permission, target in (
        (compute.routers.get, {"router": "nat"}, "routers.get", router),
        (compute.routers.delete, {"router": "nat"}, "routers.delete", router),
        (compute.routers.insert, {"router_resource": ROUTER}, "routers.create", router),
        (compute.routers.list, {}, "routers.list", "projects/another"),
        (compute.operations.get, {"operation": "o"}, "regionOperations.get", operation),
        (compute.operations.wait, {"operation": "o"}, "regionOperations.get", operation),
    ):
        with pytest.raises(exceptions.Forbidden) as refused:
            call(**other, **arguments)
        assert errors(refused.value) == (403, "forbidden")
        assert f"Required 'compute.{permission}' permission for '{target}'" in refused.value.message
    with pytest.raises(exceptions.Forbidden, match=r"compute\.routers\.list"):
        compute.routers.aggregated_list(project="another")


def test_unknown_fields_are_rejected(compute):
    session, url = compute.session(), f"{compute.url}/compute/v1/projects/{PROJECT}/regions/{REGION}/routers"
    for body, message in (
        ({"nmae": "nat"}, "Unknown name \"nmae\" at 'resource': Cannot find field."),
        ({"nats": [{"ip": "x"}]}, "Unknown name \"ip\" at 'resource.nats[0]': Cannot find field."),
        ({"name": 1}, "Invalid JSON payload received."),
    ):
        answer = session.post(url, json=body)
        assert answer.status_code == 400
        assert message in answer.json()["error"]["message"]
    assert "Cannot bind query parameter" in session.get(url, params={"size": 1}).json()["error"]["message"]
    assert not compute.listed()


@pytest.mark.parametrize(
    "scopes, allowed",
    [(["compute"], True), (["cloud-platform"], True), (["devstorage.read_only"], False)],
)
def test_a_token_needs_compute_engines_scope(compute, scopes, allowed):
    credentials = service_account.Credentials.from_service_account_file(
        compute.key_file, scopes=[SCOPE + scope for scope in scopes]
    )
    url = f"{compute.url}/compute/v1/projects/{PROJECT}/aggregated/routers"
    answer = AuthorizedSession(credentials).get(url)
    assert answer.status_code == (200 if allowed else 403)
    if not allowed:
        assert answer.json()["error"]["details"][0]["metadata"]["service"] == "compute.googleapis.com"


def test_a_token_for_gke_is_not_valid_for_compute_engine(compute):
    url = f"{compute.url}/compute/v1/projects/{PROJECT}/aggregated/routers"
    for audience, status in (("compute", 200), ("container", 401)):
        credentials = service_account.Credentials.from_service_account_file(
            compute.key_file, always_use_jwt_access=True
        )
        credentials._create_self_signed_jwt(f"https://{audience}.googleapis.com/")
        assert AuthorizedSession(credentials).get(url).status_code == status
    assert google.auth.transport.requests.requests.get(url, timeout=LIMIT).status_code == 401


@pytest.mark.skipif(not shutil.which("gcloud"), reason="gcloud is not installed")
def test_gcloud_creates_lists_and_deletes_a_router(compute, tmp_path):
    environment = os.environ | {
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_PROJECT": PROJECT,
        "CLOUDSDK_CORE_UNIVERSE_DOMAIN": UNIVERSE,
        "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE": compute.key_file,
        "CLOUDSDK_AUTH_TOKEN_HOST": f"{compute.url}/token",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": f"{compute.url}/compute/v1/",
    }

    def gcloud(verb: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = ["gcloud", "compute", "routers", verb, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    made = gcloud("create", "nat", "--network=default", f"--region={REGION}")
    assert made.returncode == 0, made.stderr
    assert compute.listed() == ["nat"]
    named = ("--router=nat", f"--region={REGION}", "--auto-allocate-nat-external-ips")
    nat = gcloud("nats", "create", "everything", *named, "--nat-all-subnet-ip-ranges")
    assert nat.returncode == 0, nat.stderr
    assert [nat.name for nat in compute.get().nats] == ["everything"]
    listed = gcloud("list", "--format=value(name)")
    assert listed.stdout.strip() == "nat", listed.stderr
    assert "already exists" in gcloud("create", "nat", "--network=default", f"--region={REGION}").stderr
    gone = gcloud("delete", "nat", f"--region={REGION}")
    assert gone.returncode == 0, gone.stderr
    assert compute.listed() == []
