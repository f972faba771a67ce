"""Packet captures along the request's way, by tcpdump in containers beside the proxies and on the nodes."""

import shlex
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from helpers import key_log, kube, wire
from helpers.base import command, files, folding
from helpers.base.command import relative
from helpers.base.errors import TutorialError
from helpers.base.settings import current
from helpers.base.tables import Table
from helpers.base.waiting import wait_until
from helpers.clusters import debug, pods
from helpers.curl import Pod
from helpers.proxies import EGRESS, GATEWAYS, INGRESS, PATH, SIDECAR

_CONTAINER = "capture"
_LATE = 2.0  # seconds; the kernel passes packets on in blocks, each after one second at most
_LONGEST = 180  # seconds that a capture may take
_NODES = {context: Pod(context, "default", "pod/on-the-node") for context in GATEWAYS}
_KEYS = "/etc/istio/proxy/keys.log"  # in manifests/gke/key-log.yaml


class Place(NamedTuple):
    """Where packets are captured: a pod, the interface in it, and tcpdump's filter."""

    pod: Pod
    interface: str
    filter: str = "tcp"


# On a node, only the ports of the path: the rest are other people's connections, and this capture itself.
_PATH_ONLY = "tcp and (port 443 or port 8080 or port 8443) and not net 127.0.0.0/8"
INSIDE = "inside the sleep pod"
PLACES = {
    INSIDE: Place(SIDECAR, "lo"),
    "sleep pod": Place(SIDECAR, "eth0"),
    "egress gateway": Place(EGRESS, "eth0"),
    "GKE node": Place(_NODES["gke"], "any", _PATH_ONLY),
    "EKS node": Place(_NODES["eks"], "any", _PATH_ONLY),
    "ingress gateway": Place(INGRESS, "eth0"),
}
# The connections of the path: where their packets are sure to be seen, and the port that accepts them.
HOPS = {
    "sidecar → egress gateway": ("sleep pod", 8080),
    "egress gateway → AWS": ("egress gateway", 443),
    "AWS → ingress gateway": ("ingress gateway", 8443),
    "ingress gateway → load balancer": ("ingress gateway", 443),
}


class Captures(dict[str, bytes]):
    """What was captured at each place, in the format of pcap; `folder` has a file for each."""

    folder = Path()

    def table(self, hosts: Iterable[str]) -> Table:
        """What can be read at each place, of TLS connections to these hosts and of plain text."""
        wanted = list(hosts)
        rows = [(place, *each) for place, data in self.items() for each in wire.readings(data, wanted)]
        return Table(("place", "protocol", "readable", "cipher", "ALPN offered"), rows)

    def exposing(self, text: str) -> list[str]:
        """The places where this text can be read."""
        return [place for place, data in self.items() if wire.contains(data, text)]

    def protocols(self, place: str, host: str) -> set[str]:
        """With which protocols that host was called, as seen there."""
        return {each.protocol for each in wire.readings(self[place], [host])}

    def resumed(self, hop: str) -> list[bool]:
        """For each TLS 1.3 connection on this hop: whether it resumed a session."""
        place, port = HOPS[hop]
        return wire.resumptions(self[place], port)

    def hops(self) -> Table:
        """Each hop of the path, where its packets were captured, and what of them is not TLS."""
        rows = []
        for hop, (place, port) in HOPS.items():
            servers = wire.servers(self[place], port)
            seen = {at: wire.unencrypted(self[at], servers) for at in self if at != INSIDE}
            found = {at: plain for at, plain in seen.items() if plain is not None}
            plain = ", ".join(sorted(set().union(*found.values()))) or "TLS only"
            rows.append((hop, ", ".join(found), plain if found else "no packets"))
        return Table(("hop", "captured at", "content"), rows)

    def unencrypted(self) -> list[str]:
        """The hops without proof that only TLS was sent."""
        return [hop for hop, _, content in self.hops().rows if content != "TLS only"]

    def decrypted(self, keys: str) -> str:
        """The request and the response on the internet, read with a log of keys. Raises TutorialError."""
        found = key_log.decrypted(self["egress gateway"], keys, "lambda.external")
        if not found:
            raise TutorialError(
                "Decrypting the capture at the egress gateway", "no connection has its keys in the log"
            )
        return "\n".join(each.decode(errors="replace").replace("\r\n", "\n") for each in found[0])

    def files(self) -> list[str]:
        """Where they are, for Wireshark."""
        return [relative(_file(self.folder, place)) for place in self]

    def _ipython_display_(self) -> None: ...


@folding.step()
def prepare(*places: str) -> None:
    """Start a container with tcpdump at these places, or at all: beside proxies, and on nodes.

    Those beside the proxies end with the proxies' pods.
    """
    wanted = {PLACES[place].pod for place in places or PLACES}
    for pod in PATH.values():
        if pod in wanted:
            debug.attach(*pod, current().TUTORIAL_TOOLS_IMAGE, _CONTAINER)
    for context, pod in _NODES.items():
        if pod in wanted:
            _start_on_the_node(context)


def _start_on_the_node(context: str) -> None:
    at = kube.pod(*GATEWAYS[context]).spec.nodeName
    there = kube.find(context, _NODES[context].namespace, _NODES[context].target)
    if there and there.spec.nodeName != at:
        kube.delete(context, _NODES[context].namespace, _NODES[context].target)
    kube.apply(context, "manifests/mesh/on-the-node.yaml", NODE=at)
    kube.wait_ready(context, _NODES[context].namespace, "on-the-node")


@folding.step()
def remove() -> None:
    """Delete the pods on the nodes, and replace those of the path, with the containers beside the proxies."""
    for context, pod in _NODES.items():
        kube.delete(context, pod.namespace, pod.target)
    for pod in PATH.values():
        kube.restart(*pod)


def keys() -> str:
    """Copy the keys that the egress gateway has logged to a file, and return them."""
    file = _folder() / "keys.log"
    argv = ["cat", _KEYS]
    done = pods.execute(*EGRESS, argv, container="istio-proxy")
    line = command.shell_join([*pods.exec_words(*EGRESS, "istio-proxy"), *argv])
    if done.returncode:
        raise TutorialError(line, done.stderr.decode(errors="replace"))
    _write(file, done.stdout)
    command.show(f"{line} > {relative(file)}")
    return done.stdout.decode("ascii")


@contextmanager
def running(name: str, *places: str) -> Iterator[Captures]:
    """Capture at these places, or at all, while the block runs; complete after it.

    The captures are written to a folder of that name.

    The commands that are printed do the same by hand, each in a terminal of its own. Raises TutorialError.
    """
    captured = Captures()
    captured.folder = _folder(name)
    with ExitStack() as stack:
        written = {place: stack.enter_context(_tcpdump(place)) for place in places or PLACES}
        yield captured
        time.sleep(_LATE)
    for place, data in written.items():
        captured[place] = bytes(data)
        _write(_file(captured.folder, place), captured[place])
    _show(captured)


@contextmanager
def _tcpdump(name: str) -> Iterator[bytearray]:
    """tcpdump at one place while the block runs: what it has written so far.

    Raises TutorialError if packets are missing: then the capture proves nothing.
    """
    pod, interface, _ = place = PLACES[name]
    data, number = bytearray(), f"/tmp/{interface}.pid"  # in that container
    program = ["sh", "-c", f"{shlex.join(_words(place))} & echo $! > {number}; wait"]
    dump = pods.Background(*pod, program, container=_CONTAINER, timeout=_LONGEST, output=data.extend)
    dump.start()
    wait_until(f"tcpdump: {name}", lambda: bool(data) or not dump.is_alive(), bool, timeout=60)
    try:
        if data:
            yield data
    finally:
        if dump.is_alive():
            pods.execute(*pod, ["sh", "-c", f"kill $(cat {number})"], container=_CONTAINER)
            dump.join(30)
    if dump.error:
        raise dump.error
    if b"\n0 packets dropped by kernel" not in dump.errors:
        raise TutorialError(
            f"Capturing at {name}",
            dump.errors.decode(errors="replace") or "tcpdump did not end",
            "run the cell again.",
        )


def _words(place: Place) -> list[str]:
    words = ["tcpdump", "-i", place.interface, "-U", "-Z", "root", "-w", "-"]
    return [*words, place.filter]


@folding.step()
def _show(captured: Captures) -> None:
    command.show(f"mkdir -p {relative(captured.folder)}")
    for name in captured:
        place = PLACES[name]
        line = command.shell_join([*pods.exec_words(*place.pod, _CONTAINER), *_words(place)])
        command.show(f"{line} > {relative(_file(captured.folder, name))}")


def delete(name: str) -> None:
    """Delete the captures of that name."""
    files.delete(_folder(name))


def _folder(name: str = "") -> Path:
    return current().TUTORIAL_BUILD_DIR / "captures" / name


def _file(folder: Path, place: str) -> Path:
    return folder / f"{place.replace(' ', '-')}.pcap"


def _write(file: Path, data: bytes) -> None:
    """For this user only: captures have requests in plain text, and keys read the rest."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    files.write(file, data, 0o600)
