"""The gcloud commands that helpers print: compared with the requests that were sent, and run by gcloud."""

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
import requests
from google.cloud.container_v1.types import Cluster, ClusterUpdate

from helpers import gke
from helpers.base.errors import ChangeNeededError, UnreachableError
from helpers.gcp import cloud_nat, gcloud
from tests.gcloud import read
from tests.lab.gcp.stand_in import Google

PLACE = {"project": "lab-project", "location": "us-central1-a"}
REGION = {"project": "lab-project", "region": "us-central1"}


@pytest.fixture
def sent(google, monkeypatch) -> list[tuple[str, Any]]:
    """Method and body of each changing request."""
    seen: list[tuple[str, Any]] = []
    send = requests.Session.send

    def recorded(self, request, **options):
        if request.method != "GET" and "/token" not in request.url:
            seen.append((request.method, json.loads(request.body or "{}")))
        return send(self, request, **options)

    monkeypatch.setattr(requests.Session, "send", recorded)
    return seen


def commands(printed: str) -> list[str]:
    """The printed commands; answers are comments."""
    lines = printed.replace(" \\\n", " ").splitlines()
    return [
        line for line in lines if line.startswith("gcloud") and " | " not in line and "describe" not in line
    ]


def whole_life(google: Google, monkeypatch) -> None:
    """Every change that helpers make in Google Cloud, except to the kubeconfig."""
    gke.create()
    google.until(lambda: gke.status() == "RUNNING")
    monkeypatch.setenv("TUTORIAL_AUTHORIZED_CIDR", "203.0.113.8/32")
    found = gke.describe()
    assert found
    gke._ensure_access(found)
    gke.delete()
    google.until(lambda: gke.status() == "")
    cloud_nat.delete()


def test_each_command_matches_the_request_that_was_sent(google, sent, monkeypatch, capsys):
    whole_life(google, monkeypatch)
    (insert, create, update, delete, last), lines = (
        sent,
        [read(line) for line in commands(capsys.readouterr().out)],
    )
    router, nat, created, updated, gone, removed = lines
    made = insert[1]
    [sent_nat] = made.pop("nats")
    assert router == ("compute routers create", made | REGION)
    assert nat == ("compute routers nats create", sent_nat | REGION | {"router": made["name"]})
    cluster = Cluster.from_json(json.dumps(create[1]["cluster"]))
    asked = {name: value for name, value in created[1].items() if name not in PLACE}
    assert Cluster(asked) == cluster
    assert (created[0], created[1].items() >= PLACE.items()) == ("container clusters create", True)
    change = {name: value for name, value in updated[1].items() if name not in {*PLACE, "name"}}
    assert ClusterUpdate(change) == ClusterUpdate.from_json(json.dumps(update[1]["update"]))
    assert gone == ("container clusters delete", {"name": "istio-multicloud", **PLACE})
    assert removed == ("compute routers delete", {"name": "istio-multicloud", **REGION})
    assert [delete[0], last[0]] == ["DELETE", "DELETE"]


def test_a_field_without_a_flag_is_detected():
    request = {"parent": "projects/p/locations/l", "cluster": {"name": "c", "enable_tpu": True}}
    with pytest.raises(ValueError, match="no flag of gcloud is known here for the field enable_tpu"):
        gcloud.change("create_cluster", request, lambda request: pytest.fail("it was sent"))
    request["cluster"] = {
        "name": "c",
        "master_authorized_networks_config": {"cidr_blocks": [{"display_name": "me"}]},
    }
    with pytest.raises(ValueError, match="ranges only"):
        gcloud.change("create_cluster", request, lambda request: pytest.fail("it was sent"))
    nat = {"name": "n", "natIpAllocateOption": "MANUAL_ONLY"}
    request = {"parent": "projects/p/regions/r", "router_resource": {"name": "r", "nats": [nat]}}
    with pytest.raises(ValueError, match="stands for AUTO_ONLY"):
        gcloud.change("insert_router", request, lambda request: pytest.fail("it was sent"))


def test_a_change_is_printed_even_if_its_response_is_lost(capsys):
    def lost() -> str:
        raise UnreachableError("Looking up the cluster", "no answer")

    with pytest.raises(UnreachableError):
        gcloud.change("delete_cluster", {"name": "projects/p/locations/l/clusters/c"}, str, answer=lost)
    assert capsys.readouterr().out.startswith("gcloud container clusters delete c")


def test_in_check_mode_nothing_is_sent(sent, monkeypatch):
    monkeypatch.setenv("TUTORIAL_READ_ONLY", "1")
    with pytest.raises(ChangeNeededError, match="gcloud compute routers create istio-multicloud"):
        gke.create()
    assert sent == []


@pytest.mark.skipif(
    not shutil.which("gcloud"), reason="gcloud is not installed; the test above reads its lines"
)
def test_gcloud_accepts_each_command_and_reaches_the_same_state(google, monkeypatch, tmp_path, capsys):
    gke.create()
    google.until(lambda: gke.status() == "RUNNING")
    gke._show_wait()
    printed = capsys.readouterr().out
    by_helpers = recorded_state()
    gke.delete()
    google.until(lambda: gke.status() == "")
    cloud_nat.delete()
    removal = capsys.readouterr().out
    environment = google.for_gcloud(tmp_path)

    def paste(block: str) -> str:
        block = re.sub("^….*\n", "", block, flags=re.M)  # progress lines, which a notebook erases
        done = subprocess.run(["bash", "-ec", block], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    paste(printed)
    assert gke.status() == "RUNNING", "the pasted block waits"
    assert recorded_state() == by_helpers
    paste(removal.replace("--async ", ""))
    assert (gke.status(), cloud_nat.find()) == ("", None)


def recorded_state() -> tuple[Any, ...]:
    """The requested settings, without generated names and times."""
    cluster, router = gke.describe(), cloud_nat.find()
    assert cluster and router
    labels = dict(cluster.resource_labels)
    pool = cluster.node_pools[0]
    return (
        cluster.name, pool.initial_node_count, pool.config.machine_type, labels,
        cluster.network_config.default_enable_private_nodes, cluster.release_channel,
        cluster.master_authorized_networks_config, cluster.ip_allocation_policy.use_ip_aliases,
        router["description"], router["network"], router["nats"],
    )  # fmt: skip
