"""What pods can run: the lab's server and tools, and the reader's own images."""

import json
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from lab import images
from tests.lab.cluster.conftest import Kubectl, SmallLab, eventually


def pod(name: str, image: str, **container: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": name, "image": image, **container}], "terminationGracePeriodSeconds": 0}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": spec,
    }


def start(kubectl: Kubectl, wanted: dict[str, Any]) -> str:
    """The pod's address, once it runs."""
    name = wanted["metadata"]["name"]
    kubectl.apply(wanted)
    kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")
    return kubectl("get", "pod", name, "-o", "jsonpath={.status.podIP}")


@pytest.fixture(scope="module")
def gke(clusters: dict[str, Kubectl]) -> Iterator[Kubectl]:
    yield clusters["gke"]
    clusters["gke"]("delete", "pods", "-l", "app in (server,tools,mine,unknown)", "--wait=false")


@pytest.fixture(scope="module")
def server(gke: Kubectl) -> str:
    return start(gke, pod("server", images.SERVER, env=[{"name": "NAME", "value": "v1"}]))


@pytest.mark.parametrize(
    ("version", "said"), [("--http1.1", "HTTP/1.1"), ("--http2-prior-knowledge", "HTTP/2.0")]
)
def test_the_server_returns_what_it_received(gke: Kubectl, server: str, version: str, said: str) -> None:
    words = ("curl", "-s", version, "-H", "X-Who: me", "-d", "text", f"http://{server}:8080/a%2Fb?c=1")
    seen = json.loads(gke.exec(*words))
    assert (seen["server"], seen["version"], seen["method"]) == ("v1", said, "POST")
    assert (seen["path"], seen["query"], seen["body"]) == ("/a%2Fb", "c=1", "text")
    assert seen["headers"]["X-Who"] == ["me"]


@pytest.mark.parametrize(("path", "status"), [("/status/418", 418), ("/status/x", 400), ("/delay/0.1", 200)])
def test_the_server_responds_as_requested(gke: Kubectl, server: str, path: str, status: int) -> None:
    words = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://{server}:8080{path}")
    assert gke.exec(*words) == str(status)


def test_the_server_echoes_lines_of_tcp(gke: Kubectl, server: str) -> None:
    assert gke.exec("sh", "-c", f"echo hello | nc -w 2 {server} 9000").strip() == "v1 hello"


def test_the_tools_capture_the_packets_of_their_pod(gke: Kubectl, server: str) -> None:
    capture = "tcpdump -c 1 -n -i any tcp port 8080 2>/dev/null & sleep 1; curl -s -o /dev/null $0; wait"
    start(gke, pod("tools", images.TOOLS, command=["sleep", "600"]))
    seen = gke("exec", "tools", "--", "sh", "-c", capture, f"http://{server}:8080/")
    assert f"{server}.8080" in seen


def renamed(archive: Path, name: str, target: Path) -> Path:
    """The same image under another name, as another tool would save it."""
    with tarfile.open(archive) as source, tarfile.open(target, "w") as copy:
        for member in source:
            data = source.extractfile(member).read()
            if member.name == "manifest.json":
                data = json.dumps([each | {"RepoTags": [name]} for each in json.loads(data)]).encode()
                member.size = len(data)
            copy.addfile(member, BytesIO(data))
    return target


def test_the_readers_own_image_runs_after_it_was_added(
    gke: Kubectl, small_lab: SmallLab, tmp_path: Path
) -> None:
    [archive] = [path for path in small_lab.images if path.name.startswith("server-")]
    gke.apply(pod("unknown", "example.com/mine:1"))
    why = ("get", "pod", "unknown", "-o", "jsonpath={.status.containerStatuses[0].state.waiting.reason}")
    eventually(lambda: gke(*why) in ("ErrImagePull", "ImagePullBackOff"), seconds=60)
    gke.cluster.add_image(renamed(archive, "example.com/mine:1", tmp_path / "mine.tar"))
    assert start(gke, pod("mine", "example.com/mine:1"))
