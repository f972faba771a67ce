"""The emulated GKE through Google's own clients, with a fake of the cluster behind it."""

import re
import shutil
import subprocess
import threading
from base64 import b64decode
from typing import Any

import google.auth
import pytest
from google.api_core import exceptions
from google.auth.transport.requests import AuthorizedSession
from google.cloud import compute_v1
from google.cloud.container_v1.types import Cluster, NodePool, Operation

from lab import sockets
from lab.errors import LabError
from lab.gcp.api.oauth import ServiceAccount, Tokens
from lab.gcp.container.network import DefaultNetwork
from lab.network import Internet, Vpc
from tests.lab.gcp.stand_in import CA, GKE, LIMIT, WHERE, Google, internet_in

ZONE = "projects/lab-project/zones/us-central1-a"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


@pytest.fixture
def gke(tmp_path, internet, monkeypatch):
    cloud = Google(tmp_path, internet)
    cloud.gcp.start()
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(cloud.gcp.credentials_file))
    yield cloud
    for machines in cloud.machines:
        machines.control_plane.set()
        machines.node.set()
    cloud.gcp.stop()


def test_a_cluster_goes_through_its_states(gke):
    gke.patient = True
    operation = gke.client.create_cluster(parent=WHERE, cluster={"name": "gke", "initial_node_count": 1})
    assert operation.operation_type == Operation.Type.CREATE_CLUSTER
    assert operation.target_link.endswith(f"/v1/{ZONE}/clusters/gke")
    gke.until(lambda: gke.machines)
    assert gke.get().status == Cluster.Status.PROVISIONING
    assert not gke.get().endpoint
    assert _progress(gke, operation)["CLUSTER_HEALTHCHECKING"] == 0

    gke.machines[0].control_plane.set()
    gke.until(lambda: gke.get().endpoint)
    assert gke.get().status == Cluster.Status.PROVISIONING, "there is no node yet"
    assert _progress(gke, operation)["CLUSTER_DEPLOYING"] == 1

    gke.machines[0].node.set()
    done = gke.wait(operation)
    assert done.end_time > done.start_time
    assert not done.error.message
    assert _progress(gke, operation)["CLUSTER_HEALTHCHECKING"] == 1
    assert gke.get().status == Cluster.Status.RUNNING


def _progress(gke: Google, operation: Operation) -> dict[str, int]:
    current = gke.client.get_operation(name=f"{WHERE}/operations/{operation.name}")
    return {metric.name: metric.int_value for metric in current.progress.metrics}


def test_a_running_cluster_is_described_as_by_gke(gke):
    gke.create(resource_labels={"tutorial": "lambda"}, release_channel={"channel": "RAPID"})
    cluster = gke.get()
    assert cluster.endpoint == "127.0.0.1:6443"
    assert b64decode(cluster.master_auth.cluster_ca_certificate) == CA
    assert re.fullmatch(r"1\.\d+\.\d+-gke\.\d+", cluster.current_master_version)
    assert (cluster.network, cluster.subnetwork, cluster.location) == ("default", "default", "us-central1-a")
    assert dict(cluster.resource_labels) == {"tutorial": "lambda"}
    assert cluster.release_channel.channel.name == "RAPID"
    assert cluster.current_node_count == 1
    assert [pool.name for pool in cluster.node_pools] == ["default-pool"]
    spec = gke.machines[0].spec
    assert (spec.pod_range, spec.service_range) == (cluster.cluster_ipv4_cidr, cluster.services_ipv4_cidr)
    [(name, address, labels)] = gke.machines[0].nodes
    assert re.fullmatch(r"gke-gke-default-pool-[0-9a-f]{8}-[a-z0-9]{4}", name)
    assert address == "10.128.0.10"
    assert labels["cloud.google.com/gke-nodepool"] == "default-pool"
    assert labels["topology.kubernetes.io/zone"] == "us-central1-a"


def test_a_cluster_with_an_ended_program_is_degraded(gke):
    gke.create()
    gke.machines[-1].dead.append("gke-gke/etcd was killed by SIGKILL")
    (listed,) = gke.client.list_clusters(parent=WHERE).clusters
    for cluster in (gke.get(), listed):
        assert cluster.status == Cluster.Status.DEGRADED
        assert cluster.status_message == "gke-gke/etcd was killed by SIGKILL"
    gke.machines[-1].dead.clear()
    assert gke.get().status == Cluster.Status.RUNNING and not gke.get().status_message


def test_deletion_ends_the_cluster(gke):
    gke.create()
    operation = gke.client.delete_cluster(name=GKE)
    assert operation.operation_type == Operation.Type.DELETE_CLUSTER
    gke.wait(operation)
    assert gke.machines[0].stopped
    with pytest.raises(exceptions.NotFound, match=f"Not found: {ZONE}/clusters/gke.") as refused:
        gke.get()
    error = refused.value.response.json()["error"]
    assert (error["code"], error["status"]) == (404, "NOT_FOUND")
    assert error["errors"] == [{"message": error["message"], "domain": "global", "reason": "notFound"}]
    assert not gke.client.list_clusters(parent=WHERE).clusters
    gke.create()  # the quota is available again


def test_a_cluster_that_does_not_start_has_a_reason_and_can_be_deleted(gke):
    gke.failure = LabError("starting the control plane", "etcd ended", "look at its log")
    operation = gke.create()
    assert "etcd ended" in operation.status_message
    assert "etcd ended" in operation.error.message
    cluster = gke.get()
    assert cluster.status == Cluster.Status.ERROR
    assert "etcd ended" in cluster.conditions[0].message
    assert gke.machines[0].stopped, "nothing incomplete remains"
    gke.wait(gke.client.delete_cluster(name=GKE))
    with pytest.raises(exceptions.NotFound):
        gke.get()


def test_one_operation_at_a_time(gke):
    gke.patient = True
    operation = gke.client.create_cluster(parent=WHERE, cluster={"name": "gke", "initial_node_count": 1})
    with pytest.raises(
        exceptions.BadRequest, match=f"{operation.name} is currently creating cluster gke"
    ) as refused:
        gke.client.delete_cluster(name=GKE)
    assert refused.value.response.json()["error"]["status"] == "FAILED_PRECONDITION"
    gke.until(lambda: gke.machines)
    gke.machines[0].control_plane.set()
    gke.machines[0].node.set()
    gke.wait(operation)
    gke.wait(gke.client.delete_cluster(name=GKE))


def test_stopping_ends_clusters_and_deletes_the_key(gke):
    gke.create()
    gke.gcp.stop()
    assert gke.machines[0].stopped
    assert not gke.gcp.credentials_file.exists()
    gke.gcp.stop()


def test_stopping_waits_for_a_cluster_in_creation_and_ends_it(gke):
    gke.patient = True
    gke.client.create_cluster(parent=WHERE, cluster={"name": "gke", "initial_node_count": 1})
    gke.until(lambda: gke.machines)
    stopping = threading.Thread(target=gke.gcp.stop)
    stopping.start()
    gke.machines[0].control_plane.set()
    gke.machines[0].node.set()
    stopping.join(LIMIT)
    assert not stopping.is_alive()
    assert gke.machines[0].stopped


@pytest.mark.parametrize(
    "asked, error, message",
    [
        ({"name": "GKE"}, exceptions.BadRequest, 'Invalid value for field "cluster.name": "GKE"'),
        ({"name": "1st"}, exceptions.BadRequest, "must start with a letter"),
        ({"name": "a" * 41}, exceptions.BadRequest, "no longer than 40 characters"),
        ({"name": ""}, exceptions.BadRequest, 'Invalid value for field "cluster.name"'),
        ({"initial_node_count": 0}, exceptions.BadRequest, "initial_node_count must be greater than zero"),
        (
            {"initial_cluster_version": "1.99"},
            exceptions.BadRequest,
            'No valid versions with the prefix "1.99"',
        ),
        ({"initial_cluster_version": "1.2.3-gke.4"}, exceptions.BadRequest, '"1.2.3-gke.4" is unsupported'),
        (
            {"master_authorized_networks_config": {"cidr_blocks": [{"cidr_block": "home"}]}},
            exceptions.BadRequest,
            '"home" is not a valid CIDR block',
        ),
        ({"network": "other"}, exceptions.BadRequest, 'Network "other" does not exist'),
        ({"resource_labels": {"Upper": "x"}}, exceptions.BadRequest, 'invalid label key "Upper"'),
        ({"initial_node_count": 2}, exceptions.Forbidden, "Insufficient project quota"),
        (
            {"node_pools": [{"name": "a", "initial_node_count": 1}]},
            exceptions.BadRequest,
            "cannot be used with",
        ),
        (
            {
                "network_config": {"default_enable_private_nodes": True},
                "private_cluster_config": {"enable_private_nodes": True},
            },
            exceptions.BadRequest,
            "cannot be specified at the same time",
        ),
    ],
)
def test_invalid_requests_are_rejected_as_by_gke(gke, asked, error, message):
    with pytest.raises(error, match=re.escape(message)):
        gke.create(**asked)
    assert not gke.machines
    assert not gke.client.list_clusters(parent=WHERE).clusters


@pytest.mark.parametrize(
    "asked, named",
    [
        ({"autopilot": {"enabled": True}}, "cluster.autopilot of Cluster"),
        ({"workload_identity_config": {"workload_pool": "p"}}, "cluster.workload_identity_config of Cluster"),
        ({"ip_allocation_policy": {"use_routes": True}}, "cluster.ip_allocation_policy.use_routes of"),
        ({"node_config": {"spot": True}}, "cluster.node_config.spot of NodeConfig"),
        (
            {"initial_node_count": 0, "node_pools": [{"name": "a", "autoscaling": {"enabled": True}}]},
            "cluster.node_pools.autoscaling of NodePool",
        ),
    ],
)
def test_unsupported_fields_are_rejected_by_name(gke, asked, named):
    with pytest.raises(exceptions.MethodNotImplemented, match=re.escape(f"does not offer the field {named}")):
        gke.create(**asked)
    assert not gke.client.list_clusters(parent=WHERE).clusters


def test_false_values_are_accepted(gke):
    gke.create(autopilot={"enabled": False}, shielded_nodes={})
    assert gke.get().status == Cluster.Status.RUNNING


@pytest.mark.parametrize("version", ["", "-", "latest", "1.35", "1.35.4", "1.35.4-gke.1000"])
def test_a_version_can_be_given_in_several_forms(gke, version):
    gke.create(initial_cluster_version=version)
    assert (
        gke.get().current_master_version == gke.client.get_server_config(name=WHERE).default_cluster_version
    )


def test_duplicate_names_and_an_exhausted_quota_are_rejected(gke):
    gke.create()
    with pytest.raises(exceptions.Conflict, match=f"Already exists: {ZONE}/clusters/gke."):
        gke.create()
    with pytest.raises(exceptions.TooManyRequests, match="cannot create more than 1"):
        gke.create(name="second")


@pytest.mark.parametrize(
    "asked, private",
    [
        ({}, False),
        ({"network_config": {"default_enable_private_nodes": False}}, False),
        ({"network_config": {"default_enable_private_nodes": True}}, True),
        ({"private_cluster_config": {"enable_private_nodes": True}}, True),
    ],
)
def test_nodes_are_private_if_the_cluster_or_pool_says_so(gke, asked, private):
    gke.create(**asked)
    cluster = gke.get()
    assert cluster.network_config.default_enable_private_nodes == private
    assert cluster.private_cluster_config.enable_private_nodes == private
    [pool] = cluster.node_pools
    assert pool.network_config.enable_private_nodes == private
    gke.wait(gke.client.delete_node_pool(name=f"{GKE}/nodePools/default-pool"))
    pool = {"name": "other", "initial_node_count": 1, "network_config": {"enable_private_nodes": not private}}
    gke.wait(gke.client.create_node_pool(parent=GKE, node_pool=pool))
    shown = gke.client.get_node_pool(name=f"{GKE}/nodePools/other")
    assert shown.network_config.enable_private_nodes != private, "a pool can override it"


def has_egress(gke: Google, internet: Internet) -> bool:
    """Whether a connection from the project's network to an outside host succeeds."""
    vpc = gke.gcp.vpc
    assert vpc
    with sockets.listen(("198.51.100.2", 8080), internet.outside) as listener:
        try:
            sockets.connect(listener.getsockname(), vpc.namespace, timeout=1).close()
        except TimeoutError:
            return False
        return True


def test_nodes_with_public_addresses_have_egress(gke, internet):
    gke.patient = True
    operation = gke.client.create_cluster(parent=WHERE, cluster={"name": "gke", "initial_node_count": 1})
    gke.until(lambda: gke.machines)
    assert not has_egress(gke, internet)
    gke.machines[0].control_plane.set()
    gke.machines[0].node.set()
    gke.wait(operation)
    assert has_egress(gke, internet)
    gke.wait(gke.client.delete_node_pool(name=f"{GKE}/nodePools/default-pool"))
    assert not has_egress(gke, internet)
    pool = {"name": "other", "initial_node_count": 1, "network_config": {"enable_private_nodes": True}}
    gke.wait(gke.client.create_node_pool(parent=GKE, node_pool=pool))
    assert not has_egress(gke, internet)


def test_private_nodes_have_egress_through_cloud_nat_in_their_region(gke, internet):
    gke.create(network_config={"default_enable_private_nodes": True})
    assert not has_egress(gke, internet)
    routers = compute_v1.RoutersClient(
        transport="rest", client_options={"api_endpoint": gke.gcp.endpoint_url}
    )
    operations = compute_v1.RegionOperationsClient(
        transport="rest", client_options={"api_endpoint": gke.gcp.endpoint_url}
    )
    router = {"name": "nat", "network": "projects/lab-project/global/networks/default"}
    nat = {
        "name": "nat",
        "nat_ip_allocate_option": "AUTO_ONLY",
        "source_subnetwork_ip_ranges_to_nat": "ALL_SUBNETWORKS_ALL_IP_RANGES",
    }

    def insert(region: str, **more: Any) -> None:
        where = {"project": "lab-project", "region": region}
        operation = routers.insert(**where, router_resource=router | more)
        operations.wait(**where, operation=operation.name)

    insert("europe-west1", nats=[nat])
    assert not has_egress(gke, internet), "it is in another region"
    insert("us-central1", name="without")
    assert not has_egress(gke, internet), "it has no NAT"
    insert("us-central1", nats=[nat])
    assert has_egress(gke, internet)
    where = {"project": "lab-project", "region": "us-central1"}
    operation = routers.delete(**where, router="nat")
    operations.wait(**where, operation=operation.name)
    assert not has_egress(gke, internet)


def test_unknown_locations_and_other_projects_are_rejected(gke):
    with pytest.raises(exceptions.Forbidden, match=r'Required "container.clusters.list" permission'):
        gke.client.list_clusters(parent="projects/another/locations/us-central1-a")
    with pytest.raises(exceptions.BadRequest, match='Location "moon" does not exist'):
        gke.client.list_clusters(parent="projects/lab-project/locations/moon")
    with pytest.raises(exceptions.NotFound, match=f"Not found: {ZONE}/operations/operation-1"):
        gke.client.get_operation(name=f"{WHERE}/operations/operation-1")


def test_lists_accept_a_location_or_all(gke):
    operation = gke.create()
    for location, count in {"us-central1-a": 1, "-": 1, "us-central1-b": 0, "us-central1": 0}.items():
        parent = f"projects/lab-project/locations/{location}"
        assert len(gke.client.list_clusters(parent=parent).clusters) == count
        names = [one.name for one in gke.client.list_operations(parent=parent).operations]
        assert names == [operation.name] * count


def test_old_clients_use_zones(gke):
    gke.create()
    cluster = gke.client.get_cluster(project_id="lab-project", zone="us-central1-a", cluster_id="gke")
    assert cluster.name == "gke"


def test_labels_are_replaced_only_with_the_current_fingerprint(gke):
    gke.create(resource_labels={"a": "1"})
    seen = gke.get().label_fingerprint
    request: dict[str, Any] = {"name": GKE, "resource_labels": {"b": "2"}, "label_fingerprint": seen}
    gke.wait(gke.client.set_labels(request))
    assert dict(gke.get().resource_labels) == {"b": "2"}
    with pytest.raises(exceptions.BadRequest, match="fingerprint mismatch"):
        gke.client.set_labels(request)


def test_authorized_networks_can_be_changed(gke):
    first, second = ({"enabled": True, "cidr_blocks": [{"cidr_block": f"203.0.113.{n}/32"}]} for n in (7, 8))
    gke.create(master_authorized_networks_config=first)
    assert gke.get().master_authorized_networks_config.cidr_blocks[0].cidr_block == "203.0.113.7/32"
    update = {"desired_master_authorized_networks_config": second}
    operation = gke.client.update_cluster(request={"name": GKE, "update": update})
    assert operation.operation_type == Operation.Type.UPDATE_CLUSTER
    gke.wait(operation)
    assert gke.get().master_authorized_networks_config.cidr_blocks[0].cidr_block == "203.0.113.8/32"
    assert gke.get().status == Cluster.Status.RUNNING
    newer = {"ip_endpoints_config": {"authorized_networks_config": first}}  # gcloud's field
    update = {"desired_control_plane_endpoints_config": newer}
    gke.wait(gke.client.update_cluster(request={"name": GKE, "update": update}))
    shown = gke.get()
    assert shown.master_authorized_networks_config.cidr_blocks[0].cidr_block == "203.0.113.7/32"
    again = shown.control_plane_endpoints_config.ip_endpoints_config.authorized_networks_config
    assert again == shown.master_authorized_networks_config
    old: dict[str, Any] = {"project_id": "lab-project", "zone": "us-central1-a", "cluster_id": "gke"}
    gke.wait(gke.client.update_cluster(request=old | {"update": update}))


@pytest.mark.parametrize(
    "update, error, message",
    [
        ({}, exceptions.BadRequest, "Must specify a field to update"),
        (
            {"desired_master_authorized_networks_config": {"cidr_blocks": [{"cidr_block": "10.0.0.1/8"}]}},
            exceptions.BadRequest,
            '"10.0.0.1/8" is not a valid CIDR block',
        ),
        (
            {"desired_node_version": "-"},
            exceptions.MethodNotImplemented,
            "update.desired_node_version",
        ),
    ],
)
def test_rejected_updates_change_nothing(gke, update, error, message):
    gke.create()
    before = gke.get()
    with pytest.raises(error, match=re.escape(message)):
        gke.client.update_cluster(request={"name": GKE, "update": update})
    assert gke.get() == before
    with pytest.raises(exceptions.NotFound):
        gke.client.update_cluster(
            request={
                "name": f"{WHERE}/clusters/other",
                "update": {"desired_master_authorized_networks_config": {}},
            }
        )


def test_a_pool_is_replaced(gke):
    gke.create()
    pool = {"name": "second", "initial_node_count": 1}
    with pytest.raises(exceptions.Forbidden, match="Insufficient project quota"):
        gke.client.create_node_pool(parent=GKE, node_pool=pool)
    gke.wait(gke.client.delete_node_pool(name=f"{GKE}/nodePools/default-pool"))
    assert not gke.machines[0].nodes
    assert not gke.client.list_node_pools(parent=GKE).node_pools
    gke.wait(gke.client.create_node_pool(parent=GKE, node_pool=pool))
    assert gke.client.get_node_pool(name=f"{GKE}/nodePools/second").status == NodePool.Status.RUNNING
    assert gke.machines[0].nodes[0][0].startswith("gke-gke-second-")
    assert gke.get().status == Cluster.Status.RUNNING
    with pytest.raises(exceptions.Conflict):
        gke.client.create_node_pool(parent=GKE, node_pool=pool)
    with pytest.raises(exceptions.NotFound):
        gke.client.delete_node_pool(name=f"{GKE}/nodePools/default-pool")


def test_unknown_fields_are_rejected_as_by_google(gke):
    session = AuthorizedSession(google.auth.default(scopes=[SCOPE])[0])
    url = f"{gke.gcp.endpoint_url}/v1/{WHERE}/clusters"
    answer = session.post(url, json={"cluster": {"nodePools": [{"nmae": "x"}]}})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["message"].startswith(
        'Invalid JSON payload received. Unknown name "nmae" at \'cluster.node_pools'
    )
    assert error["details"][0]["fieldViolations"][0]["description"] == error["message"]
    assert "Unknown name" in session.get(url, params={"pageSize": "1"}).json()["error"]["message"]
    for body in ("{", "[]", '{"cluster": 1}'):
        assert session.post(url, data=body).json()["error"]["status"] == "INVALID_ARGUMENT"


def test_unsupported_methods_are_reported(gke):
    operation = gke.create()
    with pytest.raises(exceptions.BadRequest, match="cannot be cancelled"):
        gke.client.cancel_operation(name=f"{WHERE}/operations/{operation.name}")
    with pytest.raises(exceptions.MethodNotImplemented, match="The lab does not offer POST"):
        gke.client.start_ip_rotation(name=GKE)


@pytest.mark.skipif(not shutil.which("gcloud"), reason="gcloud is not installed")
def test_gcloud_gets_credentials(gke, tmp_path):
    gke.create()
    environment = gke.for_gcloud(tmp_path) | {"KUBECONFIG": str(tmp_path / "kubeconfig")}
    command = [
        "gcloud",
        "container",
        "clusters",
        "get-credentials",
        "--project=lab-project",
        "--zone=us-central1-a",
    ]
    done = subprocess.run([*command, "gke"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "server: https://127.0.0.1:6443" in (tmp_path / "kubeconfig").read_text()
    refused = subprocess.run([*command, "other"], env=environment, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "code=404, message=Not found:" in refused.stderr


def test_a_network_without_a_resolver_is_rolled_back(tmp_path):
    def no_answer(vpc: Vpc) -> str:
        raise LabError("starting dns/gcp", "no answer in 10 s")

    with internet_in(tmp_path) as internet:
        google = Google(tmp_path, internet)
        network = DefaultNetwork(internet, google.make_cluster, no_answer, Tokens(ServiceAccount("p"), ""))
        with pytest.raises(LabError, match="no answer"):
            network.new_cluster("gke", "us-central1")
        assert network.vpc is None
        assert not internet.vpcs
