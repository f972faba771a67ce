import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lab import sockets
from lab.errors import LabError
from lab.network import PUBLIC_DNS, Internet, Namespace, Vpc
from lab.settings import Lab

LAB = Lab(name=f"t{os.getpid() % 10000}")
PORT = 8080

if os.getuid():
    pytest.skip("making network namespaces needs root", allow_module_level=True)


@pytest.fixture
def make_internet() -> Iterator[Callable[..., Internet]]:
    made = []

    def make(lab: Lab = LAB) -> Internet:
        internet = Internet(lab.run)
        made.append((lab, internet))
        internet.up()
        return internet

    yield make
    for lab, internet in made:
        internet.down()
        if lab.run.exists():
            lab.run.rmdir()


@pytest.fixture
def internet(make_internet) -> Internet:
    return make_internet()


@pytest.fixture
def aws(internet) -> Vpc:
    return internet.attach("vpc-0123456789abcdef0", "10.0.0.0/16")


@pytest.fixture
def gcp(internet) -> Vpc:
    return internet.attach("gcp", "10.128.0.0/20")


def source_of_connection(listener: socket.socket, namespace: Namespace, source: str | None = None) -> str:
    """Connect to the listener from the namespace, send a word both ways, return the source address."""
    address = listener.getsockname()
    listener.settimeout(5)

    def connect() -> socket.socket:
        return socket.create_connection(address, 5, (source, 0) if source else None)

    with closing(sockets.in_namespace(namespace, connect)) as near:
        far, (peer, _) = listener.accept()
        with far:
            near.sendall(b"ping")
            assert far.recv(10) == b"ping"
            far.sendall(b"pong")
            assert near.recv(10) == b"pong"
    return peer


def assert_silent(address: str, namespace: Namespace, port: int = PORT) -> None:
    with pytest.raises(TimeoutError):
        sockets.connect((address, port), namespace, timeout=1)


def test_outside_reaches_a_public_address_of_a_vpc(internet, aws):
    address = aws.allocate_public()
    with sockets.listen((address, PORT), aws.namespace) as listener:
        assert source_of_connection(listener, internet.outside) == "198.51.100.2"


def test_functions_reach_a_public_address(internet, aws):
    with sockets.listen((aws.allocate_public(), PORT), aws.namespace) as listener:
        assert source_of_connection(listener, internet.functions) == "198.51.100.18"


def test_a_port_without_a_server_is_refused(internet, aws):
    with pytest.raises(ConnectionRefusedError):
        sockets.connect((aws.allocate_public(), PORT), internet.outside, timeout=5)
    with pytest.raises(ConnectionRefusedError):
        sockets.connect(("198.51.100.1", PORT), aws.namespace, timeout=5)


@pytest.mark.parametrize(
    "address", ["10.0.0.10", "10.128.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "198.51.100.250"]
)
def test_unreachable_addresses_are_silent(internet, aws, address):
    aws.add_private("10.0.0.10")
    with sockets.listen(("10.0.0.10", PORT), aws.namespace):
        assert_silent(address, internet.outside)


def test_a_private_address_is_reachable_only_from_its_own_vpc(internet, aws, gcp):
    aws.add_private("10.0.1.186")
    with sockets.listen(("10.0.1.186", PORT), aws.namespace) as listener:
        assert source_of_connection(listener, aws.namespace) == aws.router
        assert source_of_connection(listener, aws.namespace, source="10.0.1.186") == "10.0.1.186"
        assert_silent("10.0.1.186", gcp.namespace)
        assert_silent("10.0.1.186", internet.functions)


def test_curl_from_outside_times_out(internet, aws):
    curl = ["curl", "-s", "--connect-timeout", "1", f"http://{aws.router}/"]
    assert internet.outside.run(*curl, check=False).returncode == 28


def test_an_unassigned_public_address_is_silent(internet, aws):
    internet.internet.sysctl("net.ipv4.neigh.net2.retrans_time_ms", 50)  # ARP fails before the client does
    assert_silent(str(aws.public[10]), internet.outside)


def test_other_vpcs_see_the_nat_address(aws, gcp):
    gcp.add_private("10.128.0.10")
    gcp.set_nat(True)
    with sockets.listen((aws.allocate_public(), PORT), aws.namespace) as listener:
        assert source_of_connection(listener, gcp.namespace) == gcp.nat
        assert source_of_connection(listener, gcp.namespace, source="10.128.0.10") == gcp.nat


def test_a_vpc_has_no_egress_without_nat(internet, aws, gcp):
    target = gcp.allocate_public()
    with sockets.listen((target, PORT), gcp.namespace) as listener:
        assert_silent(target, aws.namespace)
        for opened in (True, True):
            aws.set_nat(opened)
            assert source_of_connection(listener, aws.namespace) == aws.nat
        for _ in range(2):
            aws.set_nat(False)
            assert_silent(target, aws.namespace)
        curl = ["curl", "-s", "--connect-timeout", "1", f"http://{target}:{PORT}/"]
        assert aws.namespace.run(*curl, check=False).returncode == 28
        gcp.set_nat(True)
        assert_silent(target, aws.namespace)  # whatever other networks have
        aws.set_nat(True)
        assert source_of_connection(listener, aws.namespace) == aws.nat


def test_pods_use_the_same_nat(internet, aws, gcp):
    """Their range is outside the VPC's; outbound traffic from their addresses needs its own rule."""
    aws.namespace.run("ip", "addr", "add", "10.1.0.5/32", "dev", "vpc")
    target = gcp.allocate_public()

    def silent() -> None:
        def connect() -> socket.socket:
            return socket.create_connection((target, PORT), 1, ("10.1.0.5", 0))

        with pytest.raises(TimeoutError):
            sockets.in_namespace(aws.namespace, connect)

    with sockets.listen((target, PORT), gcp.namespace) as listener:
        aws.add_nat_range("10.1.0.0/24")
        silent()
        aws.set_nat(True)
        assert source_of_connection(listener, aws.namespace, source="10.1.0.5") == aws.nat
        aws.set_nat(False)
        silent()
        aws.set_nat(True)
        aws.remove_nat_range("10.1.0.0/24")
        aws.remove_nat_range("10.1.0.0/24")
        silent()
        assert source_of_connection(listener, aws.namespace) == aws.nat


def test_without_nat_inbound_and_internal_traffic_works(internet, aws):
    public = aws.allocate_public()
    aws.add_private("10.0.1.186")
    with sockets.listen((public, PORT), aws.namespace) as listener:
        assert source_of_connection(listener, internet.outside) == "198.51.100.2"
        assert source_of_connection(listener, aws.namespace) == public
    with sockets.listen(("10.0.1.186", PORT), aws.namespace) as listener:
        assert source_of_connection(listener, aws.namespace) == aws.router


def test_without_nat_the_vpcs_resolver_still_reaches_the_public_dns(internet, aws):
    def udp() -> socket.socket:
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    with (
        sockets.in_namespace(internet.internet, udp) as dns,
        sockets.in_namespace(aws.namespace, udp) as resolver,
    ):
        dns.bind((PUBLIC_DNS, 53))
        dns.settimeout(5)
        resolver.settimeout(5)
        resolver.sendto(b"a name", (PUBLIC_DNS, 53))
        question, peer = dns.recvfrom(100)
        assert (question, peer[0]) == (b"a name", aws.nat)
        dns.sendto(b"its address", peer)
        assert resolver.recv(100) == b"its address"


def test_the_nat_address_accepts_no_connections(internet, aws):
    with sockets.listen(("0.0.0.0", PORT), aws.namespace) as listener:
        assert_silent(aws.nat, internet.outside)
        local = sockets.connect((aws.nat, PORT), aws.namespace)
        local.close()
        listener.settimeout(5)
        accepted, (peer, _) = listener.accept()
        accepted.close()
        assert peer == aws.nat


def test_a_private_source_does_not_cross_the_internet(aws, gcp):
    """Packets with addresses that nothing masquerades (pods', before there is a node) are dropped."""
    aws.set_nat(True)
    aws.namespace.run("ip", "addr", "add", "10.1.0.5/32", "dev", "vpc")

    def udp(*address: str | int) -> Callable[[], socket.socket]:
        def make() -> socket.socket:
            made = socket.socket(type=socket.SOCK_DGRAM)
            made.bind(address)
            return made

        return make

    target = (gcp.allocate_public(), PORT)
    with (
        sockets.in_namespace(gcp.namespace, udp(*target)) as receiver,
        sockets.in_namespace(aws.namespace, udp("10.1.0.5", 0)) as pod,
        sockets.in_namespace(aws.namespace, udp(aws.router, 0)) as node,
    ):
        receiver.settimeout(5)
        pod.sendto(b"from a pod", target)
        node.sendto(b"from the node", target)
        data, (peer, _) = receiver.recvfrom(100)
        assert (data, peer) == (b"from the node", aws.nat)


def test_attaching_again_returns_the_same_vpc(internet, aws):
    assert internet.attach(aws.name, "10.0.0.0/16") is aws
    with pytest.raises(LabError, match=r"10\.1\.0\.0/16: it has 10\.0\.0\.0/16"):
        internet.attach(aws.name, "10.1.0.0/16")


@pytest.mark.parametrize("name", ["internet", "outside", "lambda"])
def test_a_vpc_cannot_have_the_name_of_an_existing_network(internet, name):
    with pytest.raises(LabError, match=f"creating the network namespace {name}: .*exists"):
        internet.attach(name, "10.0.0.0/16")
    assert internet.outside.run("ip", "-br", "addr", "show", "eth0").stdout.split()[2] == "198.51.100.2/28"


def test_a_vpc_has_a_router_and_a_resolver(aws):
    lines = aws.namespace.run("ip", "-4", "-j", "addr", "show", "vpc").stdout
    addresses = [f"{a['local']}/{a['prefixlen']}" for a in json.loads(lines)[0]["addr_info"]]
    assert addresses == ["10.0.0.1/16", "10.0.0.2/32"]
    assert (aws.router, aws.resolver) == ("10.0.0.1", "10.0.0.2")


def test_public_addresses_can_be_exhausted_and_released(aws):
    addresses = [aws.allocate_public() for _ in range(12)]
    assert len(set(addresses)) == 12
    assert aws.nat not in addresses
    with pytest.raises(LabError, match=r"all 12 addresses of 198\.51\.100\.32/28 are in use"):
        aws.allocate_public()
    aws.release_public(addresses[3])
    aws.release_public(addresses[3])
    assert aws.allocate_public() == addresses[3]


def test_a_released_public_address_is_silent(internet, aws):
    address = aws.allocate_public()
    with sockets.listen(("0.0.0.0", PORT), aws.namespace) as listener:
        target = address, PORT
        with sockets.connect(target, internet.outside):
            listener.settimeout(5)
            listener.accept()[0].close()
        aws.release_public(address)
        assert_silent(address, internet.outside)


def test_private_addresses_must_be_in_the_range(aws):
    aws.add_private("10.0.3.223")
    aws.add_private("10.0.3.223")
    sockets.listen(("10.0.3.223", PORT), aws.namespace).close()
    aws.remove_private("10.0.3.223")
    aws.remove_private("10.0.3.223")
    with pytest.raises(OSError, match="Cannot assign requested address"):
        sockets.listen(("10.0.3.223", PORT), aws.namespace)
    assert "10.0.3.223" not in aws.namespace.run("ip", "route", "show", "table", "all").stdout
    with pytest.raises(ValueError, match=r"10\.1\.0\.1 is not in the VPC's range 10\.0\.0\.0/16"):
        aws.add_private("10.1.0.1")


def test_a_deleted_vpc_is_gone_although_one_of_its_sockets_is_open(internet, aws, gcp):
    with sockets.listen((aws.allocate_public(), PORT), aws.namespace):
        aws.delete()
        aws.delete()
        assert not aws.namespace.path.exists()
        again = internet.attach(aws.name, "10.9.0.0/16")
        assert again.public == aws.public
    gcp.set_nat(True)
    with sockets.listen((again.allocate_public(), PORT), again.namespace) as listener:
        assert source_of_connection(listener, gcp.namespace) == gcp.nat


def test_there_is_room_for_fourteen_vpcs(internet):
    for number in range(14):
        internet.attach(f"vpc-{number}", "10.0.0.0/16")
    with pytest.raises(
        LabError, match=r"all 16 networks of 198\.51\.100\.0/24 are taken: outside, lambda, vpc-0"
    ):
        internet.attach("vpc-14", "10.0.0.0/16")
    assert not (LAB.run / "net/vpc-14").exists()
    internet.vpcs["vpc-7"].delete()
    assert str(internet.attach("vpc-14", "10.0.0.0/16").public) == "198.51.100.144/28"


def test_two_labs_use_the_same_addresses_in_isolation(make_internet):
    first, second = make_internet(), make_internet(Lab(name=f"{LAB.name}-b"))
    one, other = (internet.attach("vpc", "10.0.0.0/16") for internet in (first, second))
    address = one.allocate_public()
    assert address == other.allocate_public()
    with sockets.listen((address, PORT), one.namespace) as listener:
        assert source_of_connection(listener, first.outside) == "198.51.100.2"
        with pytest.raises(ConnectionRefusedError):
            sockets.connect((address, PORT), second.outside)


def test_up_is_idempotent_and_recreates_everything_after_a_crash(make_internet):
    crashed = make_internet()
    crashed.attach("vpc", "10.0.0.0/16")
    crashed.up()
    assert (LAB.run / "net/vpc").exists()
    after = make_internet()
    assert sorted(path.name for path in (LAB.run / "net").iterdir()) == ["internet", "lambda", "outside"]
    vpc = after.attach("vpc", "10.0.0.0/16")
    with sockets.listen((vpc.allocate_public(), PORT), vpc.namespace) as listener:
        assert source_of_connection(listener, after.outside) == "198.51.100.2"


def test_a_failing_command_is_shown_with_its_output(internet):
    with pytest.raises(LabError, match=r"ip route add default via 10\.9\.9\.9`: .*invalid gateway"):
        internet.outside.run("ip", "route", "add", "default", "via", "10.9.9.9")
    assert internet.outside.run("false", check=False).returncode == 1


def test_only_the_thread_enters_and_its_exception_is_raised(internet):
    def namespace() -> str:
        return os.readlink("/proc/thread-self/ns/net")

    own = namespace()
    assert sockets.in_namespace(internet.outside, namespace) != own
    assert namespace() == own
    with pytest.raises(ZeroDivisionError):
        sockets.in_namespace(internet.outside, lambda: 1 // 0)
    with pytest.raises(FileNotFoundError):
        sockets.in_namespace(LAB.run / "net/nowhere", namespace)
    with pytest.raises(OSError, match="Invalid argument"):
        sockets.in_namespace("/proc/self/ns/uts", namespace)


def machine() -> dict[str, object]:
    """The machine's own network and mounts (without other labs' mounts, which may come and go)."""

    def run(*argv: str) -> str:
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    addresses = json.loads(run("ip", "-j", "address"))
    for interface in addresses:
        for address in interface["addr_info"]:
            address.pop("valid_life_time"), address.pop("preferred_life_time")
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return {
        "links": [
            (link["ifname"], link["flags"], link["address"]) for link in json.loads(run("ip", "-j", "link"))
        ],
        "addresses": addresses,
        "routes": run("ip", "-4", "route", "show", "table", "all"),
        "rules": run("ip", "rule"),
        "firewall": [line for line in run("iptables-save").splitlines() if line[:1] not in "#:"],
        "mounts": [line for line in mounts if "istio-lab" not in line or f"istio-lab/{LAB.name}/" in line],
        "named namespaces": run("ip", "netns", "list"),
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
    }


def network_events() -> socket.socket:
    """A socket that gets each change of links, addresses and routes (rtnetlink(7)) in its namespace."""
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    link, ipv4_address, ipv4_route, ipv6_address, ipv6_route = 0x1, 0x10, 0x40, 0x100, 0x400
    events.bind((0, link | ipv4_address | ipv4_route | ipv6_address | ipv6_route))
    events.setblocking(False)
    return events


def test_the_machines_own_network_is_never_changed(make_internet):
    before = machine()
    with network_events() as events:
        internet = make_internet()
        with sockets.in_namespace(internet.outside, network_events) as inside:
            internet.outside.run("ip", "link", "add", "br0", "type", "bridge")
            assert inside.recv(65536)  # so events do arrive
        vpc = internet.attach("vpc", "10.0.0.0/16")
        vpc.allocate_public()
        assert machine()["mounts"] != before["mounts"]
        vpc.delete()
        internet.attach("vpc-2", "10.0.0.0/16")
        internet.down()
        internet.down()
        with pytest.raises(BlockingIOError):
            events.recv(65536)
    assert machine() == before
    assert not (LAB.run / "net").exists()
