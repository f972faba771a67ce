"""Packet captures along the request's way, by tcpdump in containers beside the proxies."""

import shlex
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import NamedTuple

from helpers import wire
from helpers.base import command, folding
from helpers.base.command import relative
from helpers.base.errors import TutorialError
from helpers.base.settings import current
from helpers.base.tables import Table
from helpers.base.waiting import wait_until
from helpers.clusters import debug, pods

_CONTAINER = "capture"
_LATE = 1.0  # second until the last packet is there


class Place(NamedTuple):
    """A network interface of a pod."""

    context: str
    namespace: str
    target: str
    interface: str


PLACES = {
    "inside the pod of sleep": Place("gke", "sleep", "deploy/sleep", "lo"),
    "pod of sleep": Place("gke", "sleep", "deploy/sleep", "eth0"),
    "egress gateway": Place("gke", "istio-egress", "deploy/istio-egressgateway", "eth0"),
    "ingress gateway": Place("eks", "istio-ingress", "deploy/istio-ingressgateway", "eth0"),
}


class Captures(dict[str, bytes]):
    """What was captured at each place, in the format of pcap."""

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

    def files(self) -> list[str]:
        """Where they are, for Wireshark."""
        return [relative(_file(place)) for place in self]

    def _ipython_display_(self) -> None: ...


@folding.step()
def prepare() -> None:
    """Start a container with tcpdump beside each proxy; it ends with the proxy's pod."""
    for context, namespace, target in dict.fromkeys(each[:3] for each in PLACES.values()):
        debug.attach(context, namespace, target, current().TUTORIAL_TOOLS_IMAGE, _CONTAINER)


class _Tcpdump(Thread):
    """tcpdump at one place; its output is the capture."""

    def __init__(self, place: Place) -> None:
        super().__init__(daemon=True)
        self.place, self.data = place, b""
        self.error: TutorialError | None = None
        self.file = f"/tmp/{place.interface}.pid"

    def run(self) -> None:
        script = f"{shlex.join(_tcpdump(self.place.interface))} & echo $! > {self.file}; wait"
        try:
            pods.execute(
                *self.place[:3], ["sh", "-c", script], container=_CONTAINER, timeout=180, output=self._take
            )
        except TutorialError as error:
            self.error = error

    def _take(self, output: bytes) -> None:
        self.data += output

    def stop(self) -> None:
        argv = ["sh", "-c", f"kill $(cat {self.file})"]
        pods.execute(*self.place[:3], argv, container=_CONTAINER)
        self.join(30)


@contextmanager
def running() -> Iterator[Captures]:
    """Capture at all places while the block runs; the result is complete after it.

    The commands that are printed do the same by hand, each in a terminal of its own. Raises TutorialError.
    """
    dumps = {name: _Tcpdump(place) for name, place in PLACES.items()}
    captured = Captures()
    for name, dump in dumps.items():
        dump.start()
        wait_until(f"tcpdump: {name}", lambda: bool(dump.data or dump.error), bool, timeout=60)  # noqa: B023
    try:
        yield captured
    finally:
        time.sleep(_LATE)
        for name, dump in dumps.items():
            if dump.error:
                raise dump.error
            dump.stop()
            captured[name] = dump.data
            _file(name).parent.mkdir(parents=True, exist_ok=True)
            _file(name).write_bytes(dump.data)
        _show()


def _tcpdump(interface: str) -> list[str]:
    return ["tcpdump", "-i", interface, "--immediate-mode", "-U", "-Z", "root", "-w", "-", "tcp"]


@folding.step()
def _show() -> None:
    for name, place in PLACES.items():
        words = pods.exec_words(*place[:3], _CONTAINER)
        line = command.shell_join([*words, *_tcpdump(place.interface)])
        command.show(f"{line} > {relative(_file(name))}")


def _file(place: str) -> Path:
    return current().TUTORIAL_BUILD_DIR / "captures" / f"{place.replace(' ', '-')}.pcap"
