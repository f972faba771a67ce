"""Which names exist where: Route 53's zones and the load balancers' host names, as resolvers serve them."""

from collections.abc import Iterable
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from moto.route53.models import FakeZone, RecordSet, route53_backends

from lab.dns.resolver import Record, Resolver
from lab.network import PUBLIC_DNS, Internet, Vpc
from lab.processes import Processes
from lab.settings import ACCOUNT_ID

if TYPE_CHECKING:
    from lab.aws.server import Aws

LOAD_BALANCERS = "elb.amazonaws.com."
_TTL = 60  # of a load balancer's addresses, on AWS too


class Dns:
    """The public DNS server and one resolver per VPC, of either cloud.

    A VPC's resolver has the private zones of that VPC and asks the public server for all other names.
    """

    def __init__(
        self, aws: "Aws", internet: Internet, processes: Processes, programs: Path, data: Path
    ) -> None:
        self._aws, self._processes, self._programs, self._data = aws, processes, programs, data
        self._public = Resolver("dns/public", internet.internet, processes, programs, data / "public")
        self._resolvers: dict[str, Resolver] = {}
        self._host_names: dict[str, list[str]] = {}
        self._lock = RLock()

    def start(self) -> None:
        """The public server answers when this returns."""
        self._public.start()
        self.refresh()

    def stop(self) -> None:
        with self._lock:
            for resolver in [*self._resolvers.values(), self._public]:
                resolver.stop()
            self._resolvers.clear()

    def start_resolver(self, vpc: Vpc) -> str:
        """A resolver for any VPC, at its network's address plus two, which is returned.

        https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html
        """
        with self._lock:
            if vpc.name not in self._resolvers:
                name, data = f"dns/{vpc.name}", self._data / vpc.name
                resolver = Resolver(name, vpc.namespace, self._processes, self._programs, data, PUBLIC_DNS)
                resolver.start()
                self._resolvers[vpc.name] = resolver
                self.refresh()
            return vpc.resolver

    def stop_resolver(self, vpc: Vpc) -> None:
        with self._lock:
            if resolver := self._resolvers.pop(vpc.name, None):
                resolver.stop()

    def publish(self, host_name: str, addresses: list[str]) -> None:
        """Let a load balancer's host name resolve, everywhere, to these addresses."""
        with self._lock:
            self._host_names[_absolute(host_name)] = list(addresses)
            self.refresh()

    def withdraw(self, host_name: str) -> None:
        """The host name does not exist any more; one that never did is fine."""
        with self._lock:
            self._host_names.pop(_absolute(host_name), None)
            self.refresh()

    def refresh(self) -> None:
        """Serve what Route 53 and the load balancers say now; returns when it is served."""
        with self._lock:
            zones = list(route53_backends[ACCOUNT_ID]["aws"].zones.values())
            elb = [Record(n, _TTL, "A", ip) for n, ips in self._host_names.items() for ip in ips]
            public = self._zones(zone for zone in zones if not zone.private_zone)
            self._public.serve(public | {LOAD_BALANCERS: elb})
            names = {vpc_id: vpc.name for vpc_id, vpc in self._aws.vpcs.items()}
            for name, resolver in self._resolvers.items():
                resolver.serve(self._zones(zone for zone in zones if name in _vpcs(zone, names)))

    def _zones(self, zones: Iterable[FakeZone]) -> dict[str, list[Record]]:
        """By origin. Of two zones with one name, the one that was made first is served."""
        served: dict[str, list[Record]] = {}
        for zone in zones:
            served.setdefault(_absolute(zone.name), self._records(zone))
        return served

    def _records(self, zone: FakeZone) -> list[Record]:
        return [record for rrset in list(zone.rrsets) for record in self._record_set(zone, rrset)]

    def _record_set(self, zone: FakeZone, rrset: RecordSet, depth: int = 0) -> list[Record]:
        name, type_ = _name(rrset.name), str(rrset.type)
        if not rrset.alias_target:
            values = [value["Value"] if isinstance(value, dict) else value for value in rrset.records]
            return [Record(name, int(rrset.ttl or 0), type_, value) for value in values]
        target = _absolute(rrset.alias_target["DNSName"]).removeprefix("dualstack.")
        if target in self._host_names:
            addresses = self._host_names[target] if type_ == "A" else []
            return [Record(name, _TTL, type_, address) for address in addresses]
        others = [r for r in zone.rrsets if _absolute(r.name) == target and r.type == rrset.type]
        if depth > 8:  # aliases in a circle
            return []
        found = [record for other in others for record in self._record_set(zone, other, depth + 1)]
        return [record._replace(name=name) for record in found]


def _vpcs(zone: FakeZone, names: dict[str, str]) -> list[str]:
    """The names of the networks that a private zone is associated with; a VPC without one is left out."""
    return [names[vpc["vpc_id"]] for vpc in zone.vpcs if zone.private_zone and vpc["vpc_id"] in names]


def _absolute(name: str) -> str:
    return name.lower().rstrip(".") + "."


def _name(name: str) -> str:
    """Route 53 writes the asterisk of a wildcard as \\052."""
    return _absolute(name).replace("\\052", "*")
