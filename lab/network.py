"""The internet between the clouds, as network namespaces: nothing of it is in the machine's own network.

    outside ──┐
    lambda ───┼── internet ──┬── VPC (eth0: public addresses, bridge `vpc`: private addresses)
              │              └── VPC …

A VPC's way in is by its public addresses, its way out by NAT, which it has only if it was given one.

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
_NAT = "NAT"  # a chain of the nat table, to which POSTROUTING leads while the VPC has a NAT
PUBLIC_DNS = str(_NETWORKS[0][1])  # the router's address towards `outside`, reachable from everywhere


class Namespace:
    """A network namespace, kept by a bind mount at `path`, which is not in /run/netns."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def prefix(self) -> list[str]:
        """What to put before a command that shall run inside; `ip netns exec` would hide the cgroups."""
        return [program("nsenter"), f"--net={self.path}"]

    def create(self) -> "Namespace":
        """Make it, with `lo` up; LabError if it is there already."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.path.touch(exist_ok=False)
        except FileExistsError as error:
            raise LabError(f"making the network namespace {self.name}", f"{self.path} exists") from error
        try:
            _run([program("unshare"), f"--net={self.path}", program("ip"), "link", "set", "lo", "up"])
        except LabError:
            self.delete()
            raise
        return self

    def run(self, *argv: str, check: bool = True, stdin: str | None = None) -> CompletedProcess[str]:
        """Run a command inside and return its output as text; LabError if it fails and `check` is set."""
        return _run([*self.prefix, program(argv[0]), *argv[1:]], check, stdin)

    def ip(self, *commands: str) -> None:
        """Run several `ip` commands at once; LabError at the first that fails."""
        self.run("ip", "-batch", "-", stdin="\n".join(commands) + "\n")

    def sysctl(self, key: str, value: int) -> None:
        """Set a value such as net.ipv4.ip_forward: /proc/sys/net is that of the thread's own namespace."""
        file = Path("/proc/sys") / key.replace(".", "/")
        in_namespace(self.path, lambda: file.write_text(str(value)))

    def delete(self) -> None:
        """Unbind and remove it; its interfaces go with its last process and socket. Twice is harmless."""
        while os.path.ismount(self.path):
            _run([program("umount"), "--lazy", str(self.path)])
        self.path.unlink(missing_ok=True)


class Internet:
    """One per lab. `outside` is a reader's laptop, `functions` the network where AWS runs functions."""

    def __init__(self, run_dir: Path) -> None:
        self._namespaces = run_dir / "net"
        self.internet = Namespace(self._namespaces / "internet")
        self.outside = Namespace(self._namespaces / "outside")
        self.functions = Namespace(self._namespaces / "lambda")
        self.vpcs: dict[str, Vpc] = {}
        self._slots: dict[int, str] = {}  # which network has which /28
        self._lock = RLock()

    def up(self) -> None:
        """Make the three namespaces. What a lab that crashed left in the same directory is deleted first."""
        with self._lock:
            if self._slots:
                return
            self.down()
            self.internet.create()
            _forward(self.internet)
            # Private addresses mean nothing here (RFC 1918): what is for them, or by rp_filter from them, is
            # dropped. Silently, as in AWS: a client runs into its time-out (curl's exit code 28).
            self.internet.ip("route add blackhole default")
            # For a public address that nobody has, the router would report that nobody answers its ARP.
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
        """Return the VPC of this name with the private range, made if it is not there yet.

        LabError if the name has another range, or there is no /28 left (there are 14).
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
        """Give a namespace a free /28, with eth0 and the default route over `internet`."""
        slot = next((slot for slot in range(len(_NETWORKS)) if slot not in self._slots), None)
        if slot is None:
            raise LabError(
                f"connecting {namespace.name} to the lab's internet",
                f"all {len(_NETWORKS)} networks of {PUBLIC} are taken: {', '.join(self._slots.values())}",
                "delete a VPC",
            )
        self._slots[slot] = namespace.name
        public = _NETWORKS[slot]
        # Both ends are made where they belong: neither is ever in the machine's own namespace.
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
        """Delete the veth pair at once, as a namespace lives on while a socket of it is open."""
        for slot in [slot for slot, name in self._slots.items() if name == namespace.name]:
            self.internet.run("ip", "link", "delete", f"net{slot}", check=False)
            del self._slots[slot]

    def _forget(self, vpc: "Vpc") -> None:
        with self._lock:
            if self.vpcs.pop(vpc.name, None):
                self._disconnect(vpc.namespace)
                vpc.namespace.delete()


class Vpc:
    """A cloud's private network, one namespace; `router` is its private range's first address."""

    def __init__(
        self, internet: Internet, namespace: Namespace, public: IPv4Network, private: IPv4Network
    ) -> None:
        self.namespace, self.name = namespace, namespace.name
        self.public, self.private = public, private
        self.router, self.resolver = str(private[1]), str(private[2])
        self.nat = str(public[2])  # what the internet sees as the source of connections from inside
        self._internet = internet
        self._free = [str(address) for address in list(public.hosts())[2:]]
        self._used: list[str] = []
        self._has_nat = False
        self._lock = RLock()
        self._build()

    def allocate_public(self) -> str:
        """Take a public address for this VPC (on eth0) and return it; LabError when none is left."""
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
        """Give a public address back; one that is not allocated is fine."""
        with self._lock:
            if address in self._used:
                self.namespace.run("ip", "address", "delete", f"{address}/32", "dev", "eth0")
                self._used.remove(address)
                self._free.append(address)  # last in the row: caches may still know it

    def add_private(self, address: str) -> None:
        """Let a private address exist in the VPC (on the bridge); ValueError if it is outside the range."""
        if IPv4Address(address) not in self.private:
            raise ValueError(f"{address} is not in the VPC's range {self.private}")
        self.namespace.ip(
            f"address replace {address}/32 dev vpc",
            # A program in this namespace is a host of the VPC: it does not call an address from itself.
            f"route replace table local local {address} dev vpc proto kernel scope host src {self.router}",
        )

    def remove_private(self, address: str) -> None:
        """Take a private address away; one that is not there is fine."""
        route = ("table", "local", "local", address, "dev", "vpc")
        self.namespace.run("ip", "route", "delete", *route, check=False)
        self.namespace.run("ip", "address", "delete", f"{address}/32", "dev", "vpc", check=False)

    def set_nat(self, open: bool) -> None:
        """Open or close the way out for private addresses; as it is already is fine.

        Without it nothing comes back, as `internet` drops what comes from a private address: a client runs
        into its time-out. A connection that is there already keeps its address.
        """
        with self._lock:
            if open != self._has_nat:
                self._nat_rule("--append" if open else "--delete", "POSTROUTING", "-j", _NAT)
                self._has_nat = open

    def add_nat_range(self, addresses: str) -> None:
        """Let more private addresses than the VPC's own out by the NAT, such as pods'."""
        self._nat_rule("--append", _NAT, *_masquerade(addresses))

    def remove_nat_range(self, addresses: str) -> None:
        """The opposite; a range that is not there is fine."""
        self._nat_rule("--delete", _NAT, *_masquerade(addresses), check=False)

    def delete(self) -> None:
        """Delete the VPC and free its public range; programs in it should have ended. Twice is harmless."""
        self._internet._forget(self)

    def _build(self) -> None:
        _forward(self.namespace)
        # A bridge without ports, as the type `dummy` is missing in some kernels.
        self.namespace.ip(
            "link add vpc type bridge",
            "link set vpc up",
            f"addr add {self.router}/{self.private.prefixlen} dev vpc",
            f"addr add {self.resolver}/32 dev vpc",
            # What is here has private addresses, also where a program does not choose: out by the NAT or not
            # at all. The resolver is the cloud's own service, and reaches the public DNS anyway.
            f"route replace default via {self.public[1]} src {self.router}",
            f"route add {PUBLIC_DNS} via {self.public[1]} src {self.nat}",
        )
        self._nat_rule("--new-chain", _NAT)
        self.add_nat_range(str(self.private))
        # A NAT gateway takes answers only. Before kube-proxy's rules, which would open node ports on it.
        new = ("-i", "eth0", "-d", self.nat, "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP")
        self.namespace.run("iptables", "-w", "-t", "mangle", "-A", "PREROUTING", *new)

    def _nat_rule(self, *arguments: str, check: bool = True) -> None:
        self.namespace.run("iptables", "-w", "-t", "nat", *arguments, check=check)


def _masquerade(addresses: str) -> list[str]:
    return ["-s", addresses, "-o", "eth0", "-j", "MASQUERADE"]


def _forward(namespace: Namespace) -> None:
    namespace.sysctl("net.ipv4.ip_forward", 1)
    namespace.sysctl("net.ipv4.conf.all.rp_filter", 2)  # loose: answers may come in by another interface
    # Ask for neighbours with eth0's address: `internet` does not answer a pod's, and all would wait for it.
    namespace.sysctl("net.ipv4.conf.all.arp_announce", 2)


def _run(argv: list[str], check: bool = True, stdin: str | None = None) -> CompletedProcess[str]:
    action, hint = f"running `{' '.join(argv)}`", "`python -m lab doctor` tells what is missing"
    done = subprocess.run(argv, capture_output=True, text=True, input=stdin)
    if check and done.returncode:
        answer = done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}"
        raise LabError(action, answer, hint)
    return done
