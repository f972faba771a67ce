"""Preflight's checks of this machine's own network, in isolated network namespaces."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

LAN = (
    "ip link add lan type bridge && ip addr add {0} dev lan && ip link set lan up"
    " && ip route add default via {1}"
)
HOME = LAN.format("192.168.1.7/24", "192.168.1.1")
VPN = (
    "ip link add vpn type bridge && ip addr add 172.16.0.2/24 dev vpn && ip link set vpn up"
    " && ip route add 10.0.0.0/9 via 172.16.0.1"
)
DOCKER = "ip link add docker type bridge && ip addr add 10.0.2.1/24 dev docker && ip link set docker up"


def said(folder: Path, code: str, *steps: str) -> str:
    """The output of one of preflight's programs on a machine with such a network."""
    environment = {"PATH": os.environ["PATH"], "TUTORIAL_SETTINGS": str(folder / "none.toml")}
    script = " && ".join([*steps, f"exec {shlex.join([sys.executable, '-c', code])}"])
    argv = ["unshare", "--net", "--mount", "sh", "-c", script]
    done = subprocess.run(argv, env=environment, cwd=PROJECT, capture_output=True, text=True, check=True)
    return done.stdout


ROUTES = "from series.preflight import here; print(*here.routes(), sep=chr(10))"


@pytest.mark.parametrize(
    ("steps", "finding"),
    [
        ((HOME,), "✓ 10.0.0.0/16: no network that this machine is in"),
        ((), "✓ 10.0.0.0/16: "),
        (
            (HOME, VPN),
            "! 10.0.0.0/16: this machine reaches 10.0.0.0/16 from its address 172.16.0.2, and the ",
        ),
        (
            (HOME, DOCKER),
            "! 10.0.0.0/16: this machine reaches 10.0.2.0/24 from its address 10.0.2.1, and the ",
        ),
        (
            (LAN.format("10.0.7.9/16", "10.0.0.1"),),
            "! 10.0.0.0/16: this machine reaches 10.0.0.0/16 from its address 10.0.7.9, and the ",
        ),
    ],
    ids=["home", "offline", "vpn", "docker", "office"],
)
def test_a_network_with_the_vpcs_addresses_is_named(tmp_path, steps, finding):
    (line,) = said(tmp_path, ROUTES, *steps).splitlines()
    assert line.startswith(finding)


def test_local_routes_are_ignored_if_outside_is_another_machine(tmp_path):
    (tmp_path / "none.toml").write_text('TUTORIAL_OUTSIDE_COMMAND = "ssh somewhere"\n')
    assert said(tmp_path, ROUTES, HOME, VPN).strip() == ""


@pytest.mark.parametrize(
    ("hosts", "finding"),
    [
        ("10.0.1.28 internal-alb.example", ""),
        (
            "0.0.0.0 internal-alb.example",
            "! DNS: the resolver returns no private address for internal-alb.example",
        ),
        ("", "! DNS: the resolver returns no private address for internal-alb.example"),
    ],
    ids=["private", "sinkhole", "no-answer"],
)
def test_a_resolver_that_filters_private_addresses_is_named(tmp_path, hosts, finding):
    (tmp_path / "hosts").write_text(f"{hosts}\n")
    code = 'from series.preflight import here; print(*here.names("internal-alb.example"))'
    line = said(tmp_path, code, f"mount --bind {tmp_path}/hosts /etc/hosts").strip()
    assert line.startswith(finding) and bool(line) == bool(finding)
