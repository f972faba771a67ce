"""The internet between the clouds, as network namespaces. The machine's own network is not used.

    outside ──┐
    lambda ───┼── internet ──┬── VPC (eth0: public addresses, bridge `vpc`: private addresses)
              │              └── VPC …

A VPC is reached through its public addresses; outbound connections need NAT, which is off by default.

Each network has a /28 of 198.51.100.0/24 (TEST-NET-2, RFC 5737): the first address is the router's, in
`internet`; the second is the network's own; the others are a VPC's public addresses.
"""

import os
import subprocess
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from subprocess import CompletedProcess
from threading import RLock

from lab.as_root import program
from lab.errors import LabError
from lab.sockets import in_namespace

PUBLIC = IPv4Network("198.51.100.0/24")
_NETWORKS = list(PUBLIC.subnets(new_prefix=28))
_NAT = "NAT"  # a chain of the nat table, to which POSTROUTING jumps while the VPC has a NAT
PUBLIC_DNS = str(_NETWORKS[0][1])  # the router's address towards `outside`, reachable from everywhere


class Namespace:
    """A network namespace, kept by a bind mount at `path`, which is not in /run/netns."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def prefix(self) -> list[str]:
        """Command line prefix that runs a program inside; `ip netns exec` would hide the cgroups."""
        return [program("nsenter"), f"--net={self.path}"]

    def create(self) -> "Namespace":
        """Create it, with `lo` up; LabError if it exists."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.path.touch(exist_ok=False)
        except FileExistsError as error:
            raise LabError(f"creating the network namespace {self.name}", f"{self.path} exists") from error
        try:
            _run([program("unshare"), f"--net={self.path}", program("ip"), "link", "set", "lo", "up"])
        except LabError:
            self.delete()
            raise
        return self

    def run(self, *argv: str, check: bool = True, stdin: str | None = None) -> CompletedProcess[str]:
        """Run a command inside and return its output; LabError if it fails and `check` is set."""
        return _run([*self.prefix, program(argv[0]), *argv[1:]], check, stdin)

    def ip(self, *commands: str) -> None:
        """Run several `ip` commands at once; LabError at the first that fails."""
        self.run("ip", "-batch", "-", stdin="\n".join(commands) + "\n")

    def sysctl(self, key: str, value: int) -> None:
        """Set a value such as net.ipv4.ip_forward: /proc/sys/net belongs to the thread's namespace."""
        file = Path("/proc/sys") / key.replace(".", "/")
        in_namespace(self.path, lambda: file.write_text(str(value)))

    def delete(self) -> None:
        """Unmount and delete it; its interfaces exist until its last process and socket end. Idempotent."""
        while os.path.ismount(self.path):
            _run([program("umount"), "--lazy", str(self.path)])
        self.path.unlink(missing_ok=True)


class Internet:
    """One per lab. `outside` is a laptop on the internet, `functions` the network of Lambda functions."""

    def __init__(self, run_dir: Path) -> None:
        self._namespaces = run_dir / "net"
        self.internet = Namespace(self._namespaces / "internet")
        self.outside = Namespace(self._namespaces / "outside")
        self.functions = Namespace(self._namespaces / "lambda")
        self.vpcs: dict[str, Vpc] = {}
        self._slots: dict[int, str] = {}  # which network has which /28
        self._lock = RLock()

    def up(self) -> None:
        """Create the three namespaces. What a crashed lab left in the same directory is deleted first."""
        with self._lock:
            if self._slots:
                return
            self.down()
            self.internet.create()
            _forward(self.internet)
            # Private addresses are not routed (RFC 1918): packets to them, or (by rp_filter) from them, are
            # dropped. Silently, as in AWS: a client times out (curl's exit code 28).
            self.internet.ip("route add blackhole default")
            # For an unassigned public address, the router would answer that the host is unreachable.
            silent = ("-p", "icmp", "--icmp-type", "host-unreachable", "-j", "DROP")
            self.internet.run("iptables", "-w", "-A", "OUTPUT", *silent)
            for namespace in (self.outside, self.functions):
                self._connect(namespace.create())

    def down(self) -> None:
        """Delete all namespaces in the lab's directory; programs in them should have ended before."""
        with self._lock:
            if self._namespaces.exists():
                for path in self._namespaces.iterdir():
                    Namespace(path).delete()
                self._namespaces.rmdir()
            self.vpcs.clear()
            self._slots.clear()

    def attach(self, name: str, private: IPv4Network | str) -> "Vpc":
        """Return the VPC of this name with the private range; create it if it does not exist.

        LabError if the name has another range, or all 14 /28 ranges are in use.
        """
        private = IPv4Network(private)
        with self._lock:
            if name not in self.vpcs:
                self.vpcs[name] = self._make_vpc(name, private)
            elif self.vpcs[name].private != private:
                raise LabError(
                    f"attaching the VPC {name} with {private}", f"it has {self.vpcs[name].private}"
                )
            return self.vpcs[name]

    def _make_vpc(self, name: str, private: IPv4Network) -> "Vpc":
        namespace = Namespace(self._namespaces / name).create()
        try:
            return Vpc(self, namespace, self._connect(namespace), private)
        except BaseException:
            self._disconnect(namespace)
            namespace.delete()
            raise

    def _connect(self, namespace: Namespace) -> IPv4Network:
        """Give a namespace a free /28, with eth0 and the default route through `internet`."""
        slot = next((slot for slot in range(len(_NETWORKS)) if slot not in self._slots), None)
        if slot is None:
            raise LabError(
                f"connecting {namespace.name} to the lab's internet",
                f"all {len(_NETWORKS)} networks of {PUBLIC} are taken: {', '.join(self._slots.values())}",
                "delete a VPC",
            )
        self._slots[slot] = namespace.name
        public = _NETWORKS[slot]
        # Each end is created in its own namespace: neither is ever in the machine's network.
        self.internet.ip(
            f"link add net{slot} type veth peer name eth0 netns {namespace.path}",
            f"addr add {public[1]}/{public.prefixlen} dev net{slot}",
            f"link set net{slot} up",
        )
        namespace.ip(
            f"addr add {public[2]}/{public.prefixlen} dev eth0",
            "link set eth0 up",
            f"route add default via {public[1]}",
        )
        return public

    def _disconnect(self, namespace: Namespace) -> None:
        """Delete the veth pair explicitly, as a namespace exists while one of its sockets is open."""
        for slot in [slot for slot, name in self._slots.items() if name == namespace.name]:
            self.internet.run("ip", "link", "delete", f"net{slot}", check=False)
            del self._slots[slot]

    def _forget(self, vpc: "Vpc") -> None:
        with self._lock:
            if self.vpcs.pop(vpc.name, None):
                self._disconnect(vpc.namespace)
                vpc.namespace.delete()


class Vpc:
    """A cloud's private network: one namespace; `router` is the first address of its private range."""

    def __init__(
        self, internet: Internet, namespace: Namespace, public: IPv4Network, private: IPv4Network
    ) -> None:
        self.namespace, self.name = namespace, namespace.name
        self.public, self.private = public, private
        self.router, self.resolver = str(private[1]), str(private[2])
        self.nat = str(public[2])  # the source address of outbound connections
        self._internet = internet
        self._free = [str(address) for address in list(public.hosts())[2:]]
        self._used: list[str] = []
        self._has_nat = False
        self._lock = RLock()
        self._build()

    def allocate_public(self) -> str:
        """Allocate a public address for this VPC (on eth0) and return it; LabError when none is left."""
        with self._lock:
            if not self._free:
                raise LabError(
                    f"allocating a public address in {self.name}",
                    f"all {len(self._used)} addresses of {self.public} are in use",
                    "delete a load balancer",
                )
            address = self._free[0]
            self.namespace.run("ip", "address", "replace", f"{address}/32", "dev", "eth0")
            self._used.append(self._free.pop(0))
            return address

    def release_public(self, address: str) -> None:
        """Release a public address, if it is allocated."""
        with self._lock:
            if address in self._used:
                self.namespace.run("ip", "address", "delete", f"{address}/32", "dev", "eth0")
                self._used.remove(address)
                self._free.append(address)  # reused last: it may still be cached

    def add_private(self, address: str) -> None:
        """Add a private address to the VPC (on the bridge); ValueError if it is outside the range."""
        if IPv4Address(address) not in self.private:
            raise ValueError(f"{address} is not in the VPC's range {self.private}")
        self.namespace.ip(
            f"address replace {address}/32 dev vpc",
            # Programs in this namespace are hosts of the VPC: they must not connect from the address itself.
            f"route replace table local local {address} dev vpc proto kernel scope host src {self.router}",
        )

    def remove_private(self, address: str) -> None:
        """Delete a private address, if it exists."""
        route = ("table", "local", "local", address, "dev", "vpc")
        self.namespace.run("ip", "route", "delete", *route, check=False)
        self.namespace.run("ip", "address", "delete", f"{address}/32", "dev", "vpc", check=False)

    def set_nat(self, open: bool) -> None:
        """Enable or disable NAT for private addresses; idempotent.

        Without it, `internet` drops packets from private addresses and a client times out.
        Open connections keep their address.
        """
        with self._lock:
            if open != self._has_nat:
                self._nat_rule("--append" if open else "--delete", "POSTROUTING", "-j", _NAT)
                self._has_nat = open

    def add_nat_range(self, addresses: str) -> None:
        """Enable NAT for a range outside the VPC's own, such as pods'."""
        self._nat_rule("--append", _NAT, *_masquerade(addresses))

    def remove_nat_range(self, addresses: str) -> None:
        """Disable it again, if it is enabled."""
        self._nat_rule("--delete", _NAT, *_masquerade(addresses), check=False)

    def delete(self) -> None:
        """Delete the VPC and release its public range; programs in it should have ended. Idempotent."""
        self._internet._forget(self)

    def _build(self) -> None:
        _forward(self.namespace)
        # A bridge without ports, as the type `dummy` is missing in some kernels.
        self.namespace.ip(
            "link add vpc type bridge",
            "link set vpc up",
            f"addr add {self.router}/{self.private.prefixlen} dev vpc",
            f"addr add {self.resolver}/32 dev vpc",
            # By default, connections use private addresses: they need NAT to leave the VPC. The resolver
            # is the cloud's own service and always reaches the public DNS.
            f"route replace default via {self.public[1]} src {self.router}",
            f"route add {PUBLIC_DNS} via {self.public[1]} src {self.nat}",
        )
        self._nat_rule("--new-chain", _NAT)
        self.add_nat_range(str(self.private))
        # A NAT gateway accepts only replies. Before kube-proxy's rules, which would open node ports on it.
        new = ("-i", "eth0", "-d", self.nat, "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP")
        self.namespace.run("iptables", "-w", "-t", "mangle", "-A", "PREROUTING", *new)

    def _nat_rule(self, *arguments: str, check: bool = True) -> None:
        self.namespace.run("iptables", "-w", "-t", "nat", *arguments, check=check)


def _masquerade(addresses: str) -> list[str]:
    return ["-s", addresses, "-o", "eth0", "-j", "MASQUERADE"]


def _forward(namespace: Namespace) -> None:
    namespace.sysctl("net.ipv4.ip_forward", 1)
    namespace.sysctl("net.ipv4.conf.all.rp_filter", 2)  # loose: replies may arrive on another interface
    # Send ARP requests from eth0's address: `internet` does not reply to a pod's, which would delay traffic.
    namespace.sysctl("net.ipv4.conf.all.arp_announce", 2)


def _run(argv: list[str], check: bool = True, stdin: str | None = None) -> CompletedProcess[str]:
    action, hint = f"running `{' '.join(argv)}`", "`python -m lab doctor` shows what is missing"
    done = subprocess.run(argv, capture_output=True, text=True, input=stdin)
    if check and done.returncode:
        answer = done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}"
        raise LabError(action, answer, hint)
    return done
