"""Captures by the real tcpdump, in a network of their own on this machine instead of in a pod."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import dpkt
import pytest

from helpers import captures, kube
from helpers.base.errors import ApiError, ChangeNeededError, TutorialError
from helpers.base.settings import current
from helpers.captures import INSIDE, Place
from helpers.clusters import pods
from helpers.curl import Pod
from helpers.proxies import PATH, SIDECAR
from lab.network import Namespace
from lab.sockets import in_namespace
from tests import web
from tests.helpers import mesh

MOST = 64  # MB; tcpdump's buffer has 2


class Server(web.Handler):
    """Responds with as many megabytes as the path says."""

    def do_GET(self) -> None:
        self.answer(200, bytes(int(self.path[1:]) << 20))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    """Without the other programs' packets."""
    namespace = Namespace(tmp_path_factory.mktemp("net") / "captures").create()
    yield namespace
    namespace.delete()


@pytest.fixture
def ask(network: Namespace) -> Iterator[Callable[..., None]]:
    """A request there, with these headers, for so many megabytes."""
    listening = in_namespace(network, lambda: web.on_loopback(Server))
    with web.serving(listening) as server:

        def ask(*headers: str, megabytes: int = 0) -> None:
            words = [word for each in headers for word in ("-H", each)]
            url = f"http://127.0.0.1:{server.server_port}/{megabytes}"
            subprocess.run([*network.prefix, "curl", "-sfo", os.devnull, *words, url], check=True)

        yield ask


@pytest.fixture
def here(network: Namespace, monkeypatch, tmp_path) -> list[tuple[str, subprocess.Popen[bytes]]]:
    """The programs that ran in that network instead of in a pod, and their containers. /tmp is the test's."""
    started = []

    def execute(
        *at: str, container: str, output: Callable[[bytes], None] | None = None, **_: object
    ) -> subprocess.CompletedProcess[bytes]:
        argv = [word.replace("/tmp/", f"{tmp_path}/") for word in at[3]]
        program = subprocess.Popen(
            [*network.prefix, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        started.append((container, program))
        assert program.stdout and program.stderr
        said = b""
        while piece := program.stdout.read(1 << 16):
            if output:
                output(piece)
            else:
                said += piece
        return subprocess.CompletedProcess(argv, program.wait(), said, program.stderr.read())

    monkeypatch.setattr(pods, "execute", execute)
    return started


def test_what_is_sent_while_the_block_runs_is_captured(ask, here, capsys):
    ask("X-Time: before")
    with captures.running("test", INSIDE) as captured:
        ask("X-Time: meanwhile")
        assert captured == {}
    ask("X-Time: after")
    assert captured.exposing("X-Time: meanwhile") == [INSIDE]
    assert captured.exposing("X-Time: before") == captured.exposing("X-Time: after") == []
    [file] = [Path(name) for name in captured.files()]
    assert file == current().TUTORIAL_BUILD_DIR / "captures/test/inside-the-sleep-pod.pcap"
    assert file.read_bytes() == captured[INSIDE] and len([*dpkt.pcap.Reader(file.open("rb"))]) > 5
    assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
    assert {container for container, _ in here} == {"capture"}
    shown = capsys.readouterr().out.replace(" \\\n    ", " ")
    line = "kubectl --context gke exec -n sleep deploy/sleep -c capture -- tcpdump -i lo -U -Z root -w - tcp"
    assert shown.endswith(f"\n{line} > {file}\n")
    captures.delete("test")
    captures.delete("test")
    assert not file.parent.exists() and file.parent.parent.exists()
    assert capsys.readouterr().out == f"rm -r {file.parent}\n"


def test_nothing_keeps_capturing_after_an_error_in_the_block(ask, here):
    with pytest.raises(ZeroDivisionError), captures.running("test", INSIDE) as captured:
        1 / 0  # noqa: B018
    assert [program.poll() for _, program in here] == [0, 0]  # tcpdump, and what ended it
    assert not (captured.folder / "inside-the-sleep-pod.pcap").exists()


def test_a_capture_without_some_packets_is_an_error(ask, here, tmp_path):
    with pytest.raises(TutorialError) as failed, captures.running("test", INSIDE):
        tcpdump = int((tmp_path / "lo.pid").read_text())
        os.kill(tcpdump, signal.SIGSTOP)
        try:
            ask(megabytes=MOST)
        finally:
            os.kill(tcpdump, signal.SIGCONT)
    assert "packets dropped by kernel" in str(failed.value)
    assert "\n0 packets dropped by kernel" not in str(failed.value)
    assert str(failed.value).startswith(f"Capturing at {INSIDE}: ")
    assert not [*current().TUTORIAL_BUILD_DIR.rglob("*.pcap")]


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (Place(SIDECAR, "none0"), "none0: (No such device|That device doesn't exist)"),
        (Place(SIDECAR, "lo", "udp and udpp"), "syntax error|can't parse filter"),
    ],
    ids=["interface", "filter"],
)
def test_tcpdumps_own_error_is_shown(here, monkeypatch, place, says):
    monkeypatch.setitem(captures.PLACES, "nowhere", place)
    monkeypatch.setattr(captures, "_LATE", 0)
    error = pytest.raises(TutorialError, match=rf"(?s)Capturing at nowhere: .*({says})")
    with error, captures.running("test", "nowhere"):
        pytest.fail("nothing is captured, so nothing may be sent")


def containers(pod: Pod) -> list[str]:
    """The ephemeral ones in a proxy's pod."""
    spec = kube.pod(*pod).spec
    return [each.name for each in spec.ephemeralContainers or []]


def test_a_container_is_started_beside_each_proxy_and_on_each_node_once_and_is_removed(path, capsys):
    captures.prepare()
    assert [containers(pod) for pod in PATH.values()] == [["capture"]] * 3
    assert "debug pod/" in capsys.readouterr().out
    for context in ("gke", "eks"):
        assert kube.require(context, "default", "pod/on-the-node").spec.nodeName == mesh.NODE
    captures.prepare()
    assert [containers(pod) for pod in PATH.values()] == [["capture"]] * 3
    assert "debug pod/" not in capsys.readouterr().out
    captures.remove()
    assert [containers(pod) for pod in PATH.values()] == [[]] * 3
    for context in ("gke", "eks"):
        assert kube.find(context, "default", "pod/on-the-node") is None


def test_only_the_places_that_are_named_get_a_container(path):
    captures.prepare("egress gateway", "GKE node")
    assert [containers(pod) for pod in PATH.values()] == [[], ["capture"], []]


def test_the_pod_on_the_node_follows_the_proxy(path):
    kube.apply("gke", "manifests/mesh/on-the-node.yaml", NODE="another-node")
    captures.prepare("GKE node")
    assert kube.require("gke", "default", "pod/on-the-node").spec.nodeName == mesh.NODE


def test_in_read_only_mode_no_container_is_started(path, monkeypatch):
    monkeypatch.setenv("TUTORIAL_READ_ONLY", "1")
    with pytest.raises(ChangeNeededError, match=r"debug pod/\S+ .*--container=capture"):
        captures.prepare("sleep pod")
    assert containers(SIDECAR) == []


@pytest.mark.parametrize(
    ("place", "says"),
    [("sleep pod", "container capture is not valid for pod sleep"), ("EKS node", '"on-the-node" not found')],
)
def test_a_place_without_the_container_is_an_error(path, monkeypatch, place, says):
    monkeypatch.setattr(captures, "_LATE", 0)
    with pytest.raises(ApiError, match=says), captures.running("test", place):
        pass
    assert not [*current().TUTORIAL_BUILD_DIR.rglob("*.pcap")]


def test_keys_are_copied_to_a_file_of_this_user_only(in_pods, capsys):
    in_pods.files["/etc/istio/proxy/keys.log"] = b"CLIENT_RANDOM 00 01\n"
    capsys.readouterr()
    assert captures.keys() == "CLIENT_RANDOM 00 01\n"
    [file] = current().TUTORIAL_BUILD_DIR.rglob("keys.log")
    assert file.read_text() == "CLIENT_RANDOM 00 01\n" and file.stat().st_mode & 0o777 == 0o600
    assert "CLIENT_RANDOM" not in capsys.readouterr().out
    assert in_pods.started == [("istio-proxy", ["cat", "/etc/istio/proxy/keys.log"])]


def test_a_gateway_that_logs_no_keys_is_an_error(here):
    with pytest.raises(TutorialError, match="No such file or directory"):
        captures.keys()
    assert not [*current().TUTORIAL_BUILD_DIR.rglob("keys.log")]
