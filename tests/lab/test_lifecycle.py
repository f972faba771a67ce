"""A lab's life cycle: up twice, killed and up again, down; and the machine before and after."""

import os
import pwd
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from lab import as_root, cgroups, lifecycle
from lab.errors import LabError
from lab.progress import Progress
from lab.settings import Lab
from tests.conftest import exports

PROJECT = Path(__file__).parent.parent.parent
# The groups at the top of each hierarchy: below those, the machine's services come and go.
GROUPS = "*" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "*/*"
LAB = Lab(name=f"l{os.getpid() % 100000}")


def run_lab(
    *arguments: str,
    name: str = LAB.name,
    environment: dict[str, str] | None = None,
    timeout: float | None = None,
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "lab", *arguments],
        env=os.environ | {"LAB_NAME": name} | (environment or {}),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def lab(*arguments: str, name: str = LAB.name, timeout: float | None = None) -> str:
    answer = run_lab(*arguments, name=name, timeout=timeout)
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
        "mounts": but_others(
            line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()
        ),
        "namespaces": said("ip", "netns", "list"),
        "cgroups": but_others(sorted(map(str, Path("/sys/fs/cgroup").glob(GROUPS)))),
        "processes": "\n".join(
            line for line in said("ps", "-eo", "pid,args").splitlines() if LAB.name in line
        ),
        "files": "\n".join(
            str(p) for p in (LAB.run, LAB.data, PROJECT / f"tutorial-{LAB.name}.toml") if p.exists()
        ),
    }


def but_others(paths: Iterable[str]) -> str:
    """Other labs may come and go meanwhile; so may mounts in /tmp, where a lab has none."""
    others = re.compile(rf"/istio-lab[-/](?!{LAB.name}(/|$))|^/tmp/")
    return "\n".join(path for path in paths if not others.search(path))


@pytest.fixture(scope="module")
def before():
    state = machine()
    yield state
    lab("down")


def daemon() -> int:
    """The daemon: the process in its cgroup that started the others there, which may come and go."""
    pids = cgroups.processes(f"{LAB.cgroup}/daemon")
    (pid,) = (pid for pid in pids if parent(pid) not in (None, *pids))
    return pid


def parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except FileNotFoundError:  # it has ended
        return None


def test_up_with_sudo_uses_nothing_from_the_caller(before, tmp_path):
    """As if sudo passed every variable on: the caller's programs, modules and settings are traps."""
    trace = tmp_path / "trace"
    for name in (
        "env",
        "sh",
        "ip",
        "iptables",
        "nsenter",
        "unshare",
        "mount",
        "umount",
        "cp",
        "containerd",
        "ctr",
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {name} >>{trace}\n")
        (tmp_path / name).chmod(0o755)
    for name in ("typer", "sitecustomize", "lab"):
        (tmp_path / f"{name}.py").write_text(f"open({str(trace)!r}, 'a').write('{name}.py')\n")
    (tmp_path / "bashrc").write_text(f"echo bashrc >>{trace}\n")
    names = (
        "LD_PRELOAD",
        "BASH_ENV",
        "ENV",
        "PYTHONSTARTUP",
        "GODEBUG",
        "SSL_CERT_FILE",
        "CONTAINERD_ADDRESS",
    )
    names += ("IFS", "HTTPS_PROXY", "https_proxy", "AWS_PROFILE", "KUBECONFIG", "HOME", "TMPDIR")
    hostile = dict.fromkeys(names, str(tmp_path / "bashrc")) | {
        "PATH": str(tmp_path),
        "PYTHONPATH": str(tmp_path),
    }
    _, *command = as_root.by_sudo(LAB, ["up"])
    answer = subprocess.run(command, env=hostile, cwd=tmp_path, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert not trace.exists(), trace.read_text()
    given = Path(f"/proc/{daemon()}/environ").read_text().split("\0")
    assert dict(pair.split("=", 1) for pair in given if pair) == as_root.environment(LAB)
    # The traps work, so this test is meaningful.
    subprocess.run([sys.executable, "-m", "lab", "status"], env=hostile, cwd=tmp_path, capture_output=True)
    assert "sitecustomize.py" in trace.read_text()


def test_up_twice_is_harmless(before):
    first = daemon()
    assert "up already" in lab("up")
    assert daemon() == first
    assert "has been up" in lab("status")


def test_concurrent_up_creates_one_lab(before):
    lab("down")
    with ThreadPoolExecutor() as pool:
        said = list(pool.map(lambda _: lab("up"), range(2)))
    assert daemon()
    assert sum("up already" in each for each in said) == 1
    assert not LAB.run.with_suffix(".lock").exists()


def test_up_writes_deleted_settings_again(before):
    settings = PROJECT / f"tutorial-{LAB.name}.toml"
    settings.unlink()
    lab("up")
    assert "AWS_ENDPOINT_URL" in settings.read_text()


@pytest.mark.parametrize("command", ["up", "down"])
def test_another_users_lab_is_unchanged_and_its_owner_is_named(before, command):
    first = daemon()
    answer = run_lab(command, environment={"LAB_OWNER_UID": "65534"})
    assert answer.returncode == 1
    assert f"belongs to {pwd.getpwuid(os.getuid()).pw_name}" in answer.stderr and "LAB_NAME=" in answer.stderr
    assert daemon() == first


def test_another_user_cannot_reach_it_and_learns_its_owner(before):
    """In another user's process, as that user may not be able to read this Python's folder."""
    ours, theirs = os.pipe()
    if not os.fork():
        os.setuid(65534)
        try:
            said = str(lifecycle.running(LAB))
        except LabError as error:
            said = str(error)
        os.write(theirs, said.encode())
        os._exit(0)
    os.close(theirs)
    with open(ours) as said:
        assert f"belongs to {pwd.getpwuid(os.getuid()).pw_name}" in said.read()
    os.wait()


def test_a_hanging_daemon_is_reported_and_down_ends_everything(before):
    words = ["exec", "outside", "--", "sh", "-c", "trap '' TERM INT HUP; echo up; while :; do sleep 1; done"]
    command = [sys.executable, "-m", "lab", *words]
    stubborn = subprocess.Popen(
        command, env=os.environ | {"LAB_NAME": LAB.name}, cwd=PROJECT, stdout=subprocess.PIPE
    )
    assert stubborn.stdout and stubborn.stdout.readline() == b"up\n"
    os.kill(daemon(), signal.SIGSTOP)
    answer = run_lab("up")
    assert answer.returncode == 1
    assert "did not answer" in answer.stderr and "make down" in answer.stderr
    lab("down", timeout=lifecycle.STOP_LIMIT / 2)  # otherwise it waited in vain
    assert stubborn.wait() == 1
    assert not LAB.run.exists() and not cgroups.processes(LAB.cgroup)


def test_interrupted_up_leaves_nothing(before):
    process = subprocess.Popen(
        [sys.executable, "-m", "lab", "up"], env=os.environ | {"LAB_NAME": LAB.name}, cwd=PROJECT
    )
    while not LAB.run.exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) != 0
    assert not LAB.run.exists() and not cgroups.processes(LAB.cgroup)
    lab("up")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("exit 3", "it ended with status 3. Its last lines:\nno port left"),
        ("sleep 60", "it was not ready after"),
    ],
)
def test_a_daemon_that_does_not_start_says_why(before, monkeypatch, program, said):
    """One times out, the other ends; neither remains."""
    lab("down")
    monkeypatch.setattr(lifecycle, "START_LIMIT", 2)
    monkeypatch.setattr(as_root, "python", lambda *_: ["/bin/sh", "-c", f"echo no port left; {program}"])
    with pytest.raises(LabError) as refused:
        lifecycle.up(LAB, Progress())
    assert said in str(refused.value)
    assert not LAB.run.exists() and not cgroups.processes(LAB.cgroup)
    lab("up")


def test_a_program_that_ended_is_named_by_later_commands(before):
    run_lab("exec", "outside", "--", "true")
    assert "Some programs have ended" not in lab("status")
    (resolver,) = (
        pid
        for pid in cgroups.processes(LAB.cgroup)
        if Path(f"/proc/{pid}/comm").read_text().strip() == "coredns"
    )
    os.kill(resolver, signal.SIGKILL)
    said = "dns/public was killed by SIGKILL\nTry: make down, then make up"
    status = run_lab("status")
    assert status.returncode == 1 and said in status.stdout
    assert said in lab("up")
    failed = run_lab("exec", "outside", "--", "false")
    assert failed.returncode == 1 and said in failed.stderr
    assert run_lab("exec", "outside", "--", "true").stderr == ""
    lab("down")
    lab("up")
    assert "Some programs have ended" not in lab("status")


def test_the_machines_own_network_is_unchanged(before):
    now = machine()
    assert daemon()
    for what in ("interfaces", "addresses", "routes", "rules", "namespaces"):
        assert now[what] == before[what], what


def test_handwritten_settings_are_kept(before):
    settings = PROJECT / f"tutorial-{LAB.name}.toml"
    assert "AWS_ENDPOINT_URL" in settings.read_text()
    settings.write_text("TUTORIAL_DOMAIN = 'mine.example.org'\n")
    lab("down")
    assert "is kept" in lab("up")
    assert settings.read_text() == "TUTORIAL_DOMAIN = 'mine.example.org'\n"
    settings.unlink()


def test_labs_with_different_names_are_isolated(before):
    """Even if one's name starts with the other's."""
    other = f"{LAB.name}-2"
    first = daemon()
    lab("down", name=other)
    assert daemon() == first
    try:
        lab("up", name=other)
        ours, theirs = (boto3.client("ec2", **client(lab("env", name=name))) for name in (LAB.name, other))
        vpc = theirs.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        assert vpc in {each["VpcId"] for each in theirs.describe_vpcs()["Vpcs"]}
        assert vpc not in {each["VpcId"] for each in ours.describe_vpcs()["Vpcs"]}
        with pytest.raises(ClientError, match="AuthFailure"):  # each has its own key
            boto3.client(
                "ec2", **client(lab("env")) | {"endpoint_url": theirs.meta.endpoint_url}
            ).describe_vpcs()
    finally:
        lab("down", name=other)
    assert daemon() == first
    assert "has been up" in lab("status")


def client(lines: str) -> dict[str, str]:
    """A boto3 client, from the output of `env`."""
    named = exports({"PATH": os.environ["PATH"]}, lines)
    return {
        "endpoint_url": named["AWS_ENDPOINT_URL"],
        "region_name": named["AWS_REGION"],
        "aws_access_key_id": named["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": named["AWS_SECRET_ACCESS_KEY"],
    }


def test_up_recovers_from_a_killed_daemon(before):
    first = daemon()
    children = set(cgroups.processes(LAB.cgroup)) - {first}
    assert children, "a lab has at least a DNS server"
    os.kill(first, signal.SIGKILL)
    lab("up")
    assert daemon() != first
    assert not children & set(cgroups.processes(LAB.cgroup))


def test_down_leaves_the_machine_unchanged(before):
    lab("down")
    assert machine() == before


@dataclass
class Running:
    """What a lab has started: processes, and their namespaces other than the machine's."""

    processes: set[str]
    namespaces: set[str]

    def remains(self) -> set[str]:
        others = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if not in_other_lab(pid)]
        return (self.processes & set(map(identity, others))) | (self.namespaces & namespaces(others))


def in_other_lab(pid: int) -> bool:
    """Numbers of processes and namespaces are reused, sometimes at once if there are several labs."""
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:  # it has ended
        return True
    return "/istio-lab-" in groups and f"/{LAB.cgroup}" not in groups


def identity(pid: int) -> str:
    """The process's number and start time; "" if it has ended, even if no parent has waited for it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else f"process {pid}, started {fields[19]}"


def namespaces(pids: Iterable[int]) -> set[str]:
    """By type and number, as in net:[4026532281]."""
    found = set()
    for pid in pids:
        for kind in ("net", "mnt", "pid", "ipc", "uts"):
            with suppress(OSError):  # the process has ended
                found.add(os.readlink(f"/proc/{pid}/ns/{kind}"))
    return found


CREATE = {
    "both": """
from helpers import eks, gke, kube, network
network.ensure()
eks.create()
gke.create()
eks.ensure()
gke.ensure()
for context in ("eks", "gke"):
    kube.rollout(context, "kube-system", "deploy/coredns")
""",
    "one": """
from helpers import gke, kube
gke.create()
gke.ensure()
kube.rollout("gke", "kube-system", "deploy/coredns")
""",
}
DELETE_ONE = """
from helpers import gke
gke.delete()
seen = [gke.status()]
while seen[-1]:
    if (now := gke.status()) != seen[-1]:
        seen.append(now)
print(seen)
"""


def helpers(code: str) -> str:
    env = exports(os.environ | {"LAB_NAME": LAB.name}, lab("env"))
    answer = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=PROJECT, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def programs() -> Counter[str]:
    """How many of each run in the lab; the kernel keeps 15 letters of a name."""
    found: Counter[str] = Counter()
    for pid in cgroups.processes(LAB.cgroup):
        with suppress(OSError):  # it has ended
            found[Path(f"/proc/{pid}/comm").read_text().strip()] += 1
    return found


CONTROL_PLANE_AND_NODE = ("etcd", "kube-apiserver", "kubelet", "containerd")


def with_clusters(number: str) -> Running:
    """Start the lab with a cluster in one cloud or in each, as a reader's notebooks do."""
    lab("up")
    helpers(CREATE[number])
    assert {"containerd-shim", "pause", "coredns"} <= set(programs()), programs()
    return running()


def running() -> Running:
    pids = cgroups.processes(LAB.cgroup)
    return Running({*map(identity, pids)} - {""}, namespaces(pids) - namespaces([1, os.getpid()]))


def of_each() -> set[int]:
    """How many control planes and nodes run."""
    return {programs()[name] for name in CONTROL_PLANE_AND_NODE}


def test_deleting_a_cluster_ends_only_that_one_and_down_ends_the_other(before):
    with_clusters("both")
    assert of_each() == {2}, programs()
    pods = programs()["pause"]
    assert helpers(DELETE_ONE).splitlines()[-1] == "['STOPPING', '']"
    assert of_each() == {1}, programs()
    assert 0 < programs()["pause"] < pods

    other = running()
    assert {name[:4] for name in other.namespaces} >= {"net:", "mnt:", "pid:"}
    lab("down")
    assert other.remains() == set()
    assert machine() == before


def test_up_and_down_end_the_cluster_of_a_killed_daemon(before):
    cluster = with_clusters("one")
    os.kill(daemon(), signal.SIGKILL)
    assert len(cluster.remains()) > 20, "the test is meaningful only if a cluster outlives its daemon"
    lab("up")
    # The new lab's namespaces may have the numbers of the old ones: `down` shows the difference.
    assert not cluster.remains() & cluster.processes
    os.kill(daemon(), signal.SIGKILL)
    lab("down")
    assert cluster.remains() == set()
    assert machine() == before
