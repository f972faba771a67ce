"""Cloud NAT as the helpers create it, against the lab's Compute Engine, next to other people's resources."""

from typing import Any

import pytest
from google.cloud import compute_v1

from helpers import cleanup, gcp, gke
from helpers.base import runs
from helpers.base.errors import ApiError, TimedOutError, UnreachableError
from helpers.base.tags import TUTORIAL
from helpers.base.waiting import wait_until
from helpers.gcp import client, cloud_nat, compute
from series.preflight import gcp as preflight

PLACE = {"project": "lab-project", "region": "us-central1"}
NETWORK = "projects/lab-project/global/networks/default"
EVERYTHING = {
    "name": "all",
    "nat_ip_allocate_option": "AUTO_ONLY",
    "source_subnetwork_ip_ranges_to_nat": "ALL_SUBNETWORKS_ALL_IP_RANGES",
}


@pytest.fixture
def routers(google) -> Any:
    """Google's own client, acting as another user of the same project."""
    options = {"api_endpoint": google.gcp.endpoint_url}
    return compute_v1.RoutersClient(transport="rest", client_options=options)


def insert(routers: Any, name: str, **more: Any) -> None:
    """Start to create a router; it exists a moment later."""
    routers.insert_unary(**PLACE, router_resource={"name": name, "network": NETWORK, **more})


def names(routers: Any) -> list[str]:
    return [router.name for router in routers.list(**PLACE)]


def made(routers: Any, name: str, **more: Any) -> None:
    insert(routers, name, **more)
    wait_until(name, lambda: names(routers), lambda there: name in there, timeout=20, interval=0.1)


def as_in_moto(monkeypatch, moto_url: str) -> None:
    for name, value in (("ENDPOINT_URL", moto_url), ("ACCESS_KEY_ID", "E"), ("SECRET_ACCESS_KEY", "e")):
        monkeypatch.setenv(f"AWS_{name}", value)


def test_it_is_created_once_with_its_owner_in_the_description(routers, capsys):
    cloud_nat.ensure()
    (router,) = routers.list(**PLACE)
    assert (router.name, router.network.partition("/projects/")[2]) == (
        "istio-multicloud",
        "lab-project/global/networks/default",
    )
    (nat,) = router.nats
    assert nat.nat_ip_allocate_option == "AUTO_ONLY"
    found = cloud_nat.find()
    assert found and cloud_nat.is_ours(found)
    assert cloud_nat.tags(found)["Tutorial"] == TUTORIAL
    assert "gcloud compute routers create istio-multicloud" in capsys.readouterr().out
    cloud_nat.ensure()
    assert capsys.readouterr().out == "Cloud NAT of the router istio-multicloud exists in us-central1\n"


def test_it_is_deleted_once(routers, capsys):
    cloud_nat.ensure()
    cloud_nat.delete()
    assert names(routers) == []
    capsys.readouterr()
    cloud_nat.delete()
    assert capsys.readouterr().out == ""


def test_an_existing_nat_for_the_network_is_used_and_kept(routers, capsys):
    made(routers, "the-companys", nats=[EVERYTHING])
    cloud_nat.ensure()
    assert "Cloud NAT of the router the-companys exists" in capsys.readouterr().out
    cloud_nat.delete()
    assert names(routers) == ["the-companys"]


def test_a_router_without_nat_does_not_count(routers):
    made(routers, "for-a-vpn")
    cloud_nat.ensure()
    assert sorted(names(routers)) == ["for-a-vpn", "istio-multicloud"]


def test_another_owners_router_of_the_same_name_is_an_error_and_is_kept(routers):
    made(routers, "istio-multicloud", description="the network team's")
    assert "stop" in [found.level for found in preflight.names()]
    with pytest.raises(ApiError, match="already exists"):
        cloud_nat.ensure()
    cloud_nat.delete()
    assert names(routers) == ["istio-multicloud"]


def test_an_interrupted_run_is_completed(routers, monkeypatch):
    """Google does not document whether a router is listed while it is being created."""
    look, seen = cloud_nat.serving, []
    monkeypatch.setattr(cloud_nat, "serving", lambda: look() if seen else seen.append("nothing"))
    insert(routers, "istio-multicloud", nats=[EVERYTHING], description="Project=istio-multicloud")
    cloud_nat.ensure()
    assert seen
    assert names(routers) == ["istio-multicloud"]


def test_a_router_without_its_nat_is_an_error_that_says_how_to_fix_it(routers, monkeypatch):
    monkeypatch.setattr(cloud_nat, "_LIMIT", 0.1)
    made(routers, "istio-multicloud", description="Project=istio-multicloud")
    with pytest.raises(TimedOutError, match="Try: run 99-clean-up, then start again"):
        cloud_nat.ensure()


def test_creation_waits_while_the_previous_router_is_being_deleted(routers):
    cloud_nat.ensure()
    routers.delete_unary(**PLACE, router="istio-multicloud")
    cloud_nat.delete()  # finds it busy, then deleted
    cloud_nat.ensure()
    assert names(routers) == ["istio-multicloud"]


def test_all_pages_of_a_list_are_read(routers, monkeypatch):
    call = compute.call
    monkeypatch.setattr(compute, "call", lambda *where, **more: call(*where, maxResults="1", **more))
    for name in ("a", "b"):
        made(routers, name, description=f"Tutorial={TUTORIAL}", nats=[EVERYTHING] if name == "b" else [])
    found = cloud_nat.serving()
    assert found and found["name"] == "b"
    assert [router["name"] for router in cloud_nat.of_all_runs()] == ["a", "b"]


def test_a_nat_for_other_endpoint_types_does_not_count():
    nodes = {"sourceSubnetworkIpRangesToNat": "ALL_SUBNETWORKS_ALL_IP_RANGES"}
    for kind in ({"type": "PRIVATE"}, {"endpointTypes": ["ENDPOINT_TYPE_MANAGED_PROXY_LB"]}):
        assert not cloud_nat._serves_nodes(nodes | kind)
    assert cloud_nat._serves_nodes(nodes)


def test_it_is_kept_while_another_runs_cluster_uses_it(routers, monkeypatch, moto_url, capsys):
    as_in_moto(monkeypatch, moto_url)
    cloud_nat.ensure()
    monkeypatch.setenv("TUTORIAL_NAME", "neighbour")
    gke.create()
    monkeypatch.setenv("TUTORIAL_NAME", "istio-multicloud")
    cloud_nat.delete()
    assert "Cloud NAT is kept, because other clusters use it: neighbour" in capsys.readouterr().out
    assert cleanup.listing() == []
    assert names(routers) == ["istio-multicloud"]


def test_a_router_that_is_being_created_is_deleted_afterwards(routers):
    insert(routers, "istio-multicloud", nats=[EVERYTHING], description="Project=istio-multicloud")
    wait_until("the router", cloud_nat.find, lambda found: found is not None, timeout=20, interval=0.1)
    cloud_nat.delete()
    assert names(routers) == []


def test_it_is_found_by_clean_up_and_by_sweeps_of_other_runs(routers, monkeypatch, moto_url):
    as_in_moto(monkeypatch, moto_url)
    tags = {"Project": "crashed", "Tutorial": TUTORIAL, "Created": "2026-01-01T00:00:00Z"}
    monkeypatch.setattr(cloud_nat, "project_tags", lambda: tags)
    monkeypatch.setenv("TUTORIAL_NAME", "crashed")
    cloud_nat.ensure()
    assert [(one.kind, one.name) for one in cleanup.listing()] == [("Cloud Router", "crashed")]
    monkeypatch.setenv("TUTORIAL_NAME", "another")
    assert cleanup.listing() == []
    (run,) = [run for run in cleanup.runs_older_than("1d") if run.name == "crashed"]
    assert run.location == "us-central1"
    with runs.settings_of(run):
        cleanup.everything()
    assert names(routers) == []


def test_a_zone_belongs_to_its_region(monkeypatch):
    for location in ("europe-west1-b", "europe-west1"):
        monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", location)
        assert gcp.region() == "europe-west1"


def test_permission_error_names_the_role(routers, monkeypatch):
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "somebody-elses")
    with pytest.raises(ApiError, match=r"Forbidden.*\nTry: ask for roles/compute\.networkAdmin"):
        cloud_nat.ensure()


def test_unreachable_endpoint_is_named(routers, monkeypatch):
    monkeypatch.setattr(client, "_RETRY", {"initial": 0.1, "maximum": 0.1, "timeout": 1.0})
    monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE", "http://127.0.0.1:1/compute/v1/")
    with pytest.raises(UnreachableError, match="CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE"):
        cloud_nat.find()
