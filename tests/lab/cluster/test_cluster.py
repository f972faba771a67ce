"""Real clusters: pods, tokens, crashes. The fixtures are in conftest.py."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from lab import cgroups, sockets
from lab.errors import LabError
from lab.leftovers import clean_up
from tests.lab.cluster.conftest import LABELS, PODS, TOKEN, Kubectl, SmallLab, eventually, serve_http


def test_nodes_are_ready_with_the_clouds_names_and_labels(clusters: dict[str, Kubectl]) -> None:
    [node] = json.loads(clusters["eks"]("get", "nodes", "-o", "json"))["items"]
    assert node["metadata"]["name"] == "ip-10-0-1-55.ec2.internal"
    assert LABELS.items() <= node["metadata"]["labels"].items()
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.35.4"
    assert {"type": "InternalIP", "address": "10.0.1.55"} in node["status"]["addresses"]


def test_clusters_are_isolated(clusters: dict[str, Kubectl]) -> None:
    assert clusters["eks"].exec("curl", "-s", "localhost:8080").strip() == "web in eks"
    assert clusters["gke"].exec("curl", "-s", "localhost:8080").strip() == "web in gke"


def test_a_pod_reaches_the_api_server_by_its_name(clusters: dict[str, Kubectl]) -> None:
    ca = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
    version = clusters["gke"].exec("curl", "-s", "--cacert", ca, "https://kubernetes.default/version")
    assert json.loads(version)["gitVersion"] == "v1.35.4"


def test_other_names_are_forwarded_to_the_vpc_resolver(clusters: dict[str, Kubectl]) -> None:
    assert "10.0.1.186" in clusters["eks"].exec("nslookup", "alb.example.com")
    unknown = clusters["eks"].run("exec", "web", "--", "nslookup", "alb.example.org")
    assert unknown.returncode != 0


class Echo(BaseHTTPRequestHandler):
    """Returns the client's address."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.client_address[0].encode())

    def log_message(self, *_: object) -> None:
        pass


def test_pods_in_eks_have_addresses_of_their_nodes_subnet(
    clusters: dict[str, Kubectl], small_lab: SmallLab
) -> None:
    kubectl, vpc = clusters["eks"], small_lab.internet.vpcs["vpc-aws"]
    assert kubectl("get", "nodes", "-o", "jsonpath={.items[*].spec.podCIDR}") == ""
    address = kubectl("get", "pod", "web", "-o", "jsonpath={.status.podIP}")
    assert IPv4Address(address) in PODS
    vpc.add_private("10.0.1.200")
    server = serve_http(Echo, sockets.listen(("10.0.1.200", 0), vpc.namespace.path))
    seen = kubectl.exec("curl", "-s", "-m", "5", f"http://10.0.1.200:{server.server_port}")
    assert seen == address, "hosts of the VPC see the pod's own address"
    server.shutdown()
    vpc.remove_private("10.0.1.200")


def test_pods_leave_the_vpc_only_through_its_nat(clusters: dict[str, Kubectl], small_lab: SmallLab) -> None:
    outside = small_lab.internet.outside
    address = json.loads(outside.run("ip", "-json", "addr", "show", "eth0").stdout)[0]["addr_info"][0][
        "local"
    ]
    server = serve_http(Echo, sockets.listen((address, 0), outside.path))
    vpc = small_lab.internet.vpcs["vpc-gcp"]
    curl = ("curl", "-s", "-m", "5", f"http://{address}:{server.server_port}")
    silent = clusters["gke"].run("exec", "web", "--", *curl)
    assert "exit code 28" in silent.stderr, "without NAT: a timeout"
    vpc.set_nat(True)
    assert clusters["gke"].exec(*curl) == vpc.nat
    vpc.set_nat(False)
    assert clusters["gke"].run("exec", "web", "--", *curl).returncode != 0
    server.shutdown()


def test_the_webhook_authenticates_tokens(clusters: dict[str, Kubectl], tmp_path: Path) -> None:
    kubectl = clusters["eks"]
    ca = tmp_path / "ca.crt"
    ca.write_bytes(kubectl.cluster.ca_certificate)
    nobody = tmp_path / "kubeconfig"
    nobody.write_text("")
    access = (f"--kubeconfig={nobody}", f"--server=https://{kubectl.cluster.endpoint}")
    trust = f"--certificate-authority={ca}"
    assert "reader" in kubectl(*access, trust, f"--token={TOKEN}", "auth", "whoami")
    refused = kubectl.run(*access, trust, "--token=another", "auth", "whoami")
    assert refused.returncode != 0 and "Unauthorized" in refused.stderr
    distrusted = kubectl.run(*access, f"--token={TOKEN}", "auth", "whoami")
    assert distrusted.returncode != 0 and "certificate" in distrusted.stderr


@pytest.fixture
def another_lab(programs: Path, clusters: dict[str, Kubectl]) -> Iterator[SmallLab]:
    """Next to that of `clusters`, with the same addresses."""
    with closing(SmallLab(f"k{os.getpid() % 10000}b", programs)) as lab:
        yield lab


def left_of(lab: SmallLab) -> list[str]:
    """What a lab has on the machine: processes, mounts, cgroups and folders."""
    settings = lab.settings
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    folders = [folder for folder in (settings.run, settings.data) if folder.exists()]
    groups = [path for path in Path("/sys/fs/cgroup").glob(f"**/{settings.cgroup}") if path.is_dir()]
    paths = [path for path in mounts if str(settings.run) in path or str(settings.data) in path]
    return [*map(str, cgroups.processes(settings.cgroup)), *paths, *map(str, groups), *map(str, folders)]


def zombies() -> set[str]:
    """Ids of ended processes that no parent has waited for, whoever started them."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            head, _, rest = path.read_text().rpartition(")")
            found |= {head.partition(" ")[0]} if rest.split()[0] == "Z" else set()
    return found


KEYS = Path("/proc/sys/kernel/keys/root_maxkeys")


@pytest.fixture
def unusual_setting() -> Iterator[str]:
    """A harmless kernel setting that a kubelet would correct."""
    before = KEYS.read_text()
    KEYS.write_text("1000001")
    yield KEYS.read_text()
    KEYS.write_text(before)


def named(program: str, lab: SmallLab) -> list[int]:
    """The lab's processes of that name."""
    pids = cgroups.processes(lab.settings.cgroup)
    return [pid for pid in pids if Path(f"/proc/{pid}/comm").read_text().strip() == program]


def test_stop_ends_everything_and_a_crash_is_cleaned_up(another_lab: SmallLab, unusual_setting: str) -> None:
    cluster = another_lab.eks()
    before = zombies()
    cluster.start_control_plane()
    cluster.start_node("node", "10.0.1.55", {}, PODS)
    folder = cluster.admin_kubeconfig.parent
    assert KEYS.read_text() == unusual_setting
    cluster.stop_node()
    kubectl = Kubectl(another_lab.programs / "kubectl", cluster)
    assert kubectl("get", "nodes", "-o", "name") == ""
    cluster.start_node("node", "10.0.1.55", {}, PODS)  # again, as a node group can be created again
    assert kubectl("get", "nodes", "-o", "name").strip() == "node/node"
    cluster.stop_node()
    assert cluster.ended() == []
    (etcd,) = named("etcd", another_lab)
    os.kill(etcd, signal.SIGKILL)
    with pytest.raises(LabError, match="running eks-test/etcd: was killed by SIGKILL"):
        cluster.start_node("node", "10.0.1.55", {}, PODS)
    assert cluster.ended() == ["eks-test/etcd was killed by SIGKILL"]
    cluster.stop()
    assert cluster.ended() == []
    assert not cgroups.processes(another_lab.settings.cgroup)
    assert not folder.exists()
    groups = Path("/sys/fs/cgroup").glob(f"**/{another_lab.settings.cgroup}/clusters/*")
    assert not [path for path in groups if path.is_dir()]
    eventually(lambda: not zombies() - before)  # those of concurrent tests are reaped by their parents

    crashed = another_lab.eks()
    crashed.start_control_plane()
    crashed.start_node("node", "10.0.1.55", {}, PODS)
    assert left_of(another_lab)
    clean_up(another_lab.settings)  # knows only the settings, as after `kill -9` of the daemon
    assert left_of(another_lab) == []
    clean_up(another_lab.settings)
    crashed.stop()  # finds nothing to do


def test_a_program_that_ends_is_named_with_the_end_of_its_log(another_lab: SmallLab) -> None:
    cluster = another_lab.eks()
    vpc = another_lab.internet.vpcs["vpc-aws"]
    with (
        closing(sockets.listen(("127.0.0.1", 2379), vpc.namespace.path)),
        pytest.raises(LabError, match=r"etcd(.|\n)*address already in use"),
    ):
        cluster.start_control_plane()
    assert not cgroups.processes(another_lab.settings.cgroup)
    assert not cluster.admin_kubeconfig.parent.exists()
