"""A lab's life: up twice, killed and up again, down; and the machine before and after."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab import cgroups
from lab.settings import Lab
from tests.conftest import exports

PROJECT = Path(__file__).parent.parent.parent
LAB = Lab(name=f"l{os.getpid() % 100000}")


def lab(*arguments: str) -> str:
    answer = subprocess.run(
        [sys.executable, "-m", "lab", *arguments],
        env=os.environ | {"LAB_NAME": LAB.name}, cwd=PROJECT, capture_output=True, text=True,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def machine() -> dict[str, str]:
    """What a lab could leave on a machine."""

    def said(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return {
        "interfaces": said("ip", "-o", "link"),
        "addresses": said("ip", "-o", "addr"),
        "routes": said("ip", "route", "show", "table", "all"),
        "rules": said("iptables-save"),
        "mounts": "\n".join(
            line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()
        ),
        "namespaces": said("ip", "netns", "list"),
        "cgroups": "\n".join(sorted(str(p) for p in Path("/sys/fs/cgroup").rglob("*") if p.is_dir())),
        "processes": "\n".join(
            line for line in said("ps", "-eo", "pid,args").splitlines() if LAB.name in line
        ),
        "files": "\n".join(
            str(p) for p in (LAB.run, LAB.data, PROJECT / f"tutorial-{LAB.name}.toml") if p.exists()
        ),
    }


@pytest.fixture(scope="module")
def before():
    state = machine()
    yield state
    lab("down")


def daemon() -> int:
    (pid,) = cgroups.processes(f"{LAB.cgroup}/daemon")
    return pid


def test_up_twice_is_harmless(before):
    lab("up")
    first = daemon()
    assert "up already" in lab("up")
    assert daemon() == first
    assert "has been up" in lab("status")


def test_the_machines_own_network_stays_as_it_was(before):
    now = machine()
    assert daemon()
    for what in ("interfaces", "addresses", "routes", "rules", "namespaces"):
        assert now[what] == before[what], what


def test_a_reader_owns_settings_written_by_hand(before):
    settings = PROJECT / f"tutorial-{LAB.name}.toml"
    assert "AWS_ENDPOINT_URL" in settings.read_text()
    settings.write_text("DOMAIN = 'mine.example.org'\n")
    lab("down")
    assert "was left alone" in lab("up")
    assert settings.read_text() == "DOMAIN = 'mine.example.org'\n"
    settings.unlink()


def test_up_recovers_from_a_killed_daemon(before):
    first = daemon()
    children = set(cgroups.processes(LAB.cgroup)) - {first}
    assert children, "a lab has a DNS server at least"
    os.kill(first, signal.SIGKILL)
    lab("up")
    assert daemon() != first
    assert not children & set(cgroups.processes(LAB.cgroup))


def test_down_leaves_the_machine_as_it_was(before):
    lab("down")
    assert machine() == before


def with_a_cluster() -> set[int]:
    """Bring the lab up with a cluster in it, as a reader's notebook does; returns its processes."""
    lab("up")
    env = os.environ | {"LAB_NAME": LAB.name} | exports(lab("env"))
    code = "from helpers import gke, kube; gke.ensure(); kube.rollout('gke', 'kube-system', 'deploy/coredns')"
    subprocess.run([sys.executable, "-c", code], env=env, cwd=PROJECT, check=True, capture_output=True)
    running = set(cgroups.processes(LAB.cgroup))
    names = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in running}
    assert {"kube-apiserver", "kubelet", "containerd", "pause"} <= names
    return running


def test_down_takes_a_running_cluster_along(before):
    with_a_cluster()
    lab("down")
    assert machine() == before


def test_up_ends_what_a_killed_daemon_had_running(before):
    running = with_a_cluster()
    os.kill(daemon(), signal.SIGKILL)
    lab("up")
    assert not running & set(cgroups.processes(LAB.cgroup))
    assert not [pid for pid in running if Path(f"/proc/{pid}").exists()]
    lab("down")
    assert machine() == before


def test_down_also_ends_what_a_killed_daemon_left(before):
    lab("up")
    os.kill(daemon(), signal.SIGKILL)
    lab("down")
    assert machine() == before
