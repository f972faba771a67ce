"""Which connections an address of a VPC accepts: packet filter rules in the VPC's namespace."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lab.network import Namespace


@dataclass(frozen=True)
class Admission:
    """Allows connections from `source` (CIDR): to `ports` (first, last) of `protocol`, or all."""

    source: str
    protocol: str = ""
    ports: tuple[int, int] = (0, 65535)


def apply(namespace: Namespace, admitted: Mapping[str, Iterable[Admission]]) -> None:
    """Drop new connections to these addresses unless they are allowed; replaces all previous rules.

    Silently, as a security group does: a client times out. Open connections are kept. The table is `mangle`,
    as kube-proxy's rules in `filter` would be evaluated first and accept some.
    """
    rules = []
    for address, admissions in admitted.items():
        rules += [f"-s {one.source} -d {address} {_ports(one)} -j ACCEPT" for one in admissions]
        rules.append(f"-d {address} -j DROP")
    if rules:
        rules.insert(0, "-m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT")
    lines = ["*mangle", "-F INPUT", *(f"-A INPUT {rule}" for rule in rules), "COMMIT\n"]
    namespace.run("iptables-restore", "--noflush", "--wait", stdin="\n".join(lines))


def _ports(one: Admission) -> str:
    return f"-p {one.protocol} --dport {one.ports[0]}:{one.ports[1]}" if one.protocol else ""
