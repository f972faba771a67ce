"""Which names exist where: the zones of a cloud's DNS service, and load balancers' host names."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

from lab.dns.resolver import Record, Resolver
from lab.network import PUBLIC_DNS, Internet, Vpc
from lab.processes import Processes

_TTL = 60  # seconds, of a load balancer's addresses, as on AWS


@dataclass(frozen=True)
class RecordSet:
    """All records of a name and type; with `alias` (a name), the alias's current records."""

    name: str
    type: str
    ttl: int = 0
    values: tuple[str, ...] = ()
    alias: str = ""


@dataclass(frozen=True)
class Zone:
    """A hosted zone; all names end in a dot. `networks` (names of VPCs) makes it private to these."""

    name: str
    record_sets: tuple[RecordSet, ...]
    networks: frozenset[str] | None = None

    def seen_by(self, network: str) -> bool:
        return self.networks is not None and network in self.networks


class Dns:
    """The public DNS server, and one resolver per VPC of either cloud.

    A VPC's resolver has that VPC's private zones and forwards all other names to the public server.
    """

    def __init__(self, internet: Internet, processes: Processes, programs: Path, data: Path) -> None:
        """`programs` has `coredns`; `data` is a folder for the servers' files."""
        self._processes, self._programs, self._data = processes, programs, data
        self._public = Resolver("dns/public", internet.internet, processes, programs, data / "public")
        self._resolvers: dict[str, Resolver] = {}
        self._zones: tuple[Zone, ...] = ()
        self._host_names: dict[str, list[str]] = {}
        self._lock = RLock()

    def start(self) -> None:
        """Returns when the public server answers."""
        self._public.start()
        self._serve()

    def stop(self) -> None:
        """Stop all servers and delete all names."""
        with self._lock:
            for resolver in [*self._resolvers.values(), self._public]:
                resolver.stop()
            self._resolvers.clear()
            self._host_names.clear()
            self._zones = ()

    def start_resolver(self, vpc: Vpc) -> str:
        """A resolver for any VPC, at its network's address plus two, which is returned.

        https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html
        """
        with self._lock:
            if vpc.name not in self._resolvers:
                name, data = f"dns/{vpc.name}", self._data / vpc.name
                resolver = Resolver(name, vpc.namespace, self._processes, self._programs, data, PUBLIC_DNS)
                self._resolvers[vpc.name] = resolver
                try:
                    resolver.start()
                    self._serve()
                except BaseException:
                    self.stop_resolver(vpc)
                    raise
            return vpc.resolver

    def stop_resolver(self, vpc: Vpc) -> None:
        with self._lock:
            if resolver := self._resolvers.pop(vpc.name, None):
                resolver.stop()

    def set_zones(self, zones: Sequence[Zone]) -> None:
        """Serve these zones instead of the previous ones; returns when they are served.

        Of two zones with the same name, the first is served.
        """
        with self._lock:
            self._zones = tuple(zones)
            self._serve()

    def publish(self, host_name: str, addresses: list[str]) -> None:
        """Resolve a load balancer's host name everywhere to these addresses."""
        with self._lock:
            self._host_names[absolute(host_name)] = list(addresses)
            self._serve()

    def withdraw(self, host_name: str) -> None:
        """Delete the host name, if it exists."""
        with self._lock:
            self._host_names.pop(absolute(host_name), None)
            self._serve()

    def _serve(self) -> None:
        with self._lock:
            published: dict[str, list[Record]] = {}
            for name, addresses in self._host_names.items():
                records = published.setdefault(name.partition(".")[2], [])
                records += [Record(name, _TTL, "A", address) for address in addresses]
            self._public.serve(self._records(z for z in self._zones if z.networks is None) | published)
            for network, resolver in self._resolvers.items():
                resolver.serve(self._records(zone for zone in self._zones if zone.seen_by(network)))

    def _records(self, zones: Iterable[Zone]) -> dict[str, list[Record]]:
        served: dict[str, list[Record]] = {}
        for zone in zones:
            if zone.name not in served:
                served[zone.name] = [one for each in zone.record_sets for one in self._resolved(zone, each)]
        return served

    def _resolved(self, zone: Zone, given: RecordSet, depth: int = 0) -> list[Record]:
        """The records of a set; an alias is replaced by its target's records."""
        if not given.alias:
            return [Record(given.name, given.ttl, given.type, value) for value in given.values]
        if given.alias in self._host_names:
            addresses = self._host_names[given.alias] if given.type == "A" else []
            return [Record(given.name, _TTL, "A", address) for address in addresses]
        if depth > 8:  # aliases in a circle
            return []
        targets = [one for one in zone.record_sets if one.name == given.alias and one.type == given.type]
        found = [record for one in targets for record in self._resolved(zone, one, depth + 1)]
        return [record._replace(name=given.name) for record in found]


def absolute(name: str) -> str:
    """In lower case, with a dot at the end."""
    return name.lower().rstrip(".") + "."
