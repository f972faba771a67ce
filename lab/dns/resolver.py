"""DNS servers in network namespaces: CoreDNS with zone files that change while it runs."""

import itertools
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dnslib import QTYPE, DNSError, DNSRecord

from lab.errors import LabError
from lab.network import Namespace
from lab.processes import Processes
from lab.sockets import in_namespace

_PORT = 53
_SOA = "ns.invalid. hostmaster.invalid. 1 7200 900 1209600 60"
_HOST_NAMES = {"CNAME", "NS", "PTR", "MX", "SRV"}  # their values end with a host name

# Every change of a zone gets a new serial: CoreDNS reloads a zone when its serial has changed.
_serials = itertools.count(int(time.time()))


class Record(NamedTuple):
    """One resource record; `ttl` in seconds, `value` as a zone file has it."""

    name: str
    ttl: int
    type: str
    value: str


class Resolver:
    """A DNS server on port 53 of every address of one network namespace.

    It answers for its zones. Other names are forwarded to `forward`; without it they do not exist.
    """

    def __init__(
        self,
        name: str,
        namespace: Namespace,
        processes: Processes,
        programs: Path,
        directory: Path,
        forward: str | None = None,
    ) -> None:
        self.name, self._namespace, self._processes = name, namespace, processes
        self._program, self._directory, self._forward = programs / "coredns", directory, forward
        self._zones: dict[str, tuple[str, str]] = {}

    def start(self) -> None:
        """Returns when it answers; LabError if it does not within 10 s."""
        zones = self._directory / "zones"
        zones.mkdir(parents=True, exist_ok=True)
        for stale in zones.iterdir():
            stale.unlink()
        if self._forward is None:
            self._write(".", next(_serials), _zone_file(".", []))
        corefile = self._directory / "Corefile"
        corefile.write_text(self._corefile(zones))
        command: list[str | Path] = [self._program, "-conf", corefile]
        process = self._process = self._processes.start(self.name, command, self._namespace.path)
        deadline = time.monotonic() + 10
        while self._ask("invalid.", "SOA", timeout=0.2) is None:
            process.check()
            if time.monotonic() > deadline:
                raise LabError(f"starting {self.name}", f"no answer in 10 s; its log:\n{process.tail()}")

    def stop(self) -> None:
        # CoreDNS would wait five seconds for clients to finish.
        self._processes.stop(self.name, timeout=0.1)

    def serve(self, zones: Mapping[str, Sequence[Record]]) -> None:
        """From now on, serve exactly these zones (by origin, each ending in a dot).

        Returns when they are served, about a second after a change; LabError if they are not after 10 s.
        """
        files = {origin: _zone_file(origin, records) for origin, records in zones.items()}
        changed = {o: next(_serials) for o, file in files.items() if self._zones.get(o) != file}
        gone = {origin: self._serial(origin) for origin in self._zones if origin not in files}
        for origin, serial in changed.items():
            self._write(origin, serial, files[origin])
        for origin in gone:
            self._file(origin).unlink()
        self._zones = files
        deadline = time.monotonic() + 10
        for origin, serial in changed.items():
            while self._serial(origin) != serial:
                self._pause(origin, deadline)
        for origin, former in gone.items():
            while former is not None and self._serial(origin) == former:
                self._pause(origin, deadline)

    def _pause(self, origin: str, deadline: float) -> None:
        self._process.check()
        if time.monotonic() > deadline:
            answer = f"not served after 10 s; {self.name} says:\n{self._processes.tail(self.name)}"
            raise LabError(f"changing the DNS zone {origin}", answer)
        time.sleep(0.05)

    def _file(self, origin: str) -> Path:
        return self._directory / "zones" / f"db.{origin.lower().rstrip('.') or '.'}"

    def _write(self, origin: str, serial: int, zone: tuple[str, str]) -> None:
        """Replace the file atomically; CoreDNS reads only names that begin with db."""
        soa, rest = zone
        primary, contact, _, timers = soa.split(maxsplit=3)
        temporary = self._directory / "zones" / "new"
        temporary.write_text(f"{origin} 60 IN SOA {primary} {contact} {serial} {timers}\n{rest}")
        temporary.rename(self._file(origin))

    def _corefile(self, zones: Path) -> str:
        forward = f"    forward . {self._forward}\n" if self._forward else ""
        return f""".:{_PORT} {{
    errors
    auto {{
        directory {zones} ^db\\.(.+)$ {{1}}
        reload 200ms
    }}
{forward}}}
"""

    def _serial(self, origin: str) -> int | None:
        """The serial of the zone as it is served now; None if this server does not have it."""
        answer = self._ask(origin, "SOA")
        for record in answer.rr if answer else []:
            if record.rtype == QTYPE.SOA and str(record.rname).lower() == origin.lower():
                return record.rdata.times[0]
        return None

    def _ask(self, name: str, type_: str, timeout: float = 1) -> DNSRecord | None:
        query = DNSRecord.question(name, type_)
        with in_namespace(self._namespace.path, _udp) as udp:
            udp.settimeout(timeout)
            try:
                udp.connect(("127.0.0.1", _PORT))
                udp.send(query.pack())
                return DNSRecord.parse(udp.recv(4096))
            except (OSError, DNSError):
                return None


def _udp() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def _zone_file(origin: str, records: Sequence[Record]) -> tuple[str, str]:
    """The value of the SOA record and all other lines; both are added if the records have none."""
    soa = next((record.value for record in records if record.type == "SOA"), _SOA)
    lines = sorted(_line(record) for record in records if record.type != "SOA")
    if not any(record.type == "NS" and record.name == origin for record in records):
        lines.append(f"{origin} 60 IN NS ns.invalid.\n")
    return soa, "".join(lines)


def _line(record: Record) -> str:
    value = record.value
    if record.type in _HOST_NAMES and not value.endswith("."):
        value += "."
    return f"{record.name} {record.ttl} IN {record.type} {value}\n"
