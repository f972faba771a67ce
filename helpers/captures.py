"""Packet captures along the request's way, by tcpdump in containers beside the proxies."""

import shlex
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from helpers import wire
from helpers.base import command, folding
from helpers.base.command import relative
from helpers.base.settings import current
from helpers.base.tables import Table
from helpers.base.waiting import wait_until
from helpers.clusters import debug, pods
from helpers.curl import Pod
from helpers.proxies import EGRESS, INGRESS, PATH, SIDECAR

_CONTAINER = "capture"
_LATE = 1.0  # second until the last packet is there
_LONGEST = 180  # seconds that a capture may take


PLACES: dict[str, tuple[Pod, str]] = {  # and the pod's network interface
    "inside the pod of sleep": (SIDECAR, "lo"),
    "pod of sleep": (SIDECAR, "eth0"),
    "egress gateway": (EGRESS, "eth0"),
    "ingress gateway": (INGRESS, "eth0"),
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
    for pod in PATH.values():
        debug.attach(*pod, current().TUTORIAL_TOOLS_IMAGE, _CONTAINER)


@contextmanager
def running() -> Iterator[Captures]:
    """Capture at all places while the block runs; the result is complete after it.

    The commands that are printed do the same by hand, each in a terminal of its own. Raises TutorialError.
    """
    captured = Captures()
    with ExitStack() as stack:
        written = {name: stack.enter_context(_tcpdump(name)) for name in PLACES}
        yield captured
        time.sleep(_LATE)
    for name, data in written.items():
        captured[name] = bytes(data)
        _file(name).parent.mkdir(parents=True, exist_ok=True)
        _file(name).write_bytes(data)
    _show()


@contextmanager
def _tcpdump(name: str) -> Iterator[bytearray]:
    """tcpdump at one place while the block runs: what it has written so far."""
    pod, interface = PLACES[name]
    data, number = bytearray(), f"/tmp/{interface}.pid"  # in that container
    program = ["sh", "-c", f"{shlex.join(_words(interface))} & echo $! > {number}; wait"]
    dump = pods.Background(*pod, program, container=_CONTAINER, timeout=_LONGEST, output=data.extend)
    dump.start()
    wait_until(f"tcpdump: {name}", lambda: bool(data) or not dump.is_alive(), bool, timeout=60)
    try:
        yield data
    finally:
        if dump.is_alive():
            pods.execute(*pod, ["sh", "-c", f"kill $(cat {number})"], container=_CONTAINER)
            dump.join(30)
    if dump.error:
        raise dump.error


def _words(interface: str) -> list[str]:
    return ["tcpdump", "-i", interface, "--immediate-mode", "-U", "-Z", "root", "-w", "-", "tcp"]


@folding.step()
def _show() -> None:
    for name, (pod, interface) in PLACES.items():
        line = command.shell_join([*pods.exec_words(*pod, _CONTAINER), *_words(interface)])
        command.show(f"{line} > {relative(_file(name))}")


def _file(place: str) -> Path:
    return current().TUTORIAL_BUILD_DIR / "captures" / f"{place.replace(' ', '-')}.pcap"
